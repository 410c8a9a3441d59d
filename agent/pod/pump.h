/*
 * One direction of bytes: from a pipe, pty or socket to another, with backpressure, until the end.
 *
 * At the end of file of @from, once all is written, @to is closed if it is a pipe or pty. A socket
 * is shut down for sending instead, and closed when the peer has closed too: bytes that it has not
 * taken yet are not cut off. When @to takes nothing any more (EPIPE), @from is closed.
 */
#ifndef AGENT_PUMP_H
#define AGENT_PUMP_H

#include <stdint.h>

struct ev_loop;
struct pump;

/* The pump has ended and closed both descriptors; it may be destroyed in it. */
typedef void pump_ended_fn(void *ctx);

/* Takes ownership of both descriptors and makes them non-blocking. @ended is called from the loop.
 */
struct pump *pump_create(struct ev_loop *loop, int from, int to, pump_ended_fn *ended, void *ctx);

/* What has arrived at @from by now is the last that is copied. */
void pump_finish(struct pump *pump);

/* The bytes that have ever arrived at @from, those that wait in it included. */
uint64_t pump_arrived(const struct pump *pump);

void pump_destroy(struct pump *pump); /* NULL is fine; what is not written yet is dropped */

#endif
