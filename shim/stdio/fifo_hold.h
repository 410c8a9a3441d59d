/*
 * A FIFO for output, held open by us beside who writes: what is in a FIFO is lost when nobody has
 * it open any more, and a client may be on its way to opening it while the process has ended.
 */
#ifndef SHIM_FIFO_HOLD_H
#define SHIM_FIFO_HOLD_H

#include "common/cleanup.h"

struct ev_loop;
struct fifo_hold;

struct fifo_hold *fifo_hold_create(struct ev_loop *loop, int fd); /* takes @fd over */

/*
 * The last byte has been written. Closes when a reader has taken all, or none came in time, and
 * calls @done then, once: at once, if nothing is in it.
 */
void fifo_hold_end(struct fifo_hold *hold, void (*done)(void *ctx), void *ctx);

void fifo_hold_destroy(struct fifo_hold *hold); /* NULL is fine; closes, without a call */

CLEANUP_DESTROY(fifo_hold)

#endif
