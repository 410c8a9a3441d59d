/*
 * The FIFO or pipe that an output goes into, held open by us beside the vsock device, which writes.
 * What is in a FIFO is lost when nobody has it open any more, and a client may be on its way to
 * opening it, or gone to come back, while the process has ended. And it tells how much nobody has
 * read yet.
 */
#ifndef SHIM_FIFO_HOLD_H
#define SHIM_FIFO_HOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

struct ev_loop;
struct fifo_hold;

/*
 * Takes over both: @write_fd is a duplicate of the device's end, @read_fd is of the same FIFO, so
 * that the device can write while nobody reads. -1: a pipe, whose writer is to see that its reader
 * has gone.
 */
struct fifo_hold *fifo_hold_create(struct ev_loop *loop, int write_fd, int read_fd);

/* For a second output into the same FIFO: both end it, and both destroy it. */
struct fifo_hold *fifo_hold_share(struct fifo_hold *hold);

/*
 * The last byte has been written, and the device has closed its end: who reads sees the end of file
 * behind what there is. A FIFO with something in it that nobody has open for reading is held until
 * somebody has.
 */
void fifo_hold_end(struct fifo_hold *hold);

/* The bytes in it that nobody has read. */
size_t fifo_hold_unread(const struct fifo_hold *hold);

/*
 * Nobody but us has it open for reading. Before fifo_hold_end() a device that writes in this moment
 * finds a broken pipe if so: only for who gives the output up then.
 */
bool fifo_hold_is_deserted(struct fifo_hold *hold);

void fifo_hold_destroy(struct fifo_hold *hold); /* NULL is fine; what is in it may be lost */

CLEANUP_DESTROY(fifo_hold)

#endif
