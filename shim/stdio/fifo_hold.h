/*
 * The FIFO or pipe that an output goes into, held open by the shim beside the vsock device, which
 * writes. A FIFO loses its data when no process has it open, and after the end of the process a
 * client may still be about to open it, or to open it again. It also reports the number of unread
 * bytes.
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
 * that the device can write without a reader. -1: a pipe, whose writer must notice the end of its
 * reader.
 */
struct fifo_hold *fifo_hold_create(struct ev_loop *loop, int write_fd, int read_fd);

/* For a second output into the same FIFO: both end it, and both destroy it. */
struct fifo_hold *fifo_hold_share(struct fifo_hold *hold);

/*
 * The last byte has been written, and the device has closed its end: a reader sees the end of file
 * after the last byte. A FIFO without a reader is held open until one comes, also when it is empty:
 * unless what was in it has been read by then.
 */
void fifo_hold_end(struct fifo_hold *hold);

/* The number of unread bytes in it. */
size_t fifo_hold_unread(const struct fifo_hold *hold);

/*
 * Whether no other process has it open for reading. Before fifo_hold_end(), a write of the device
 * during this call may fail with EPIPE: only for a caller that gives up the output.
 */
bool fifo_hold_has_no_reader(struct fifo_hold *hold);

void fifo_hold_destroy(struct fifo_hold *hold); /* NULL is fine; what is in it may be lost */

CLEANUP_DESTROY(fifo_hold)

#endif
