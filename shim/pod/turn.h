/*
 * Serializes the operations on a process, as a lock does: a call that arrives during an operation
 * waits, and its handler is then run from the start, as for a new call. An operation that does not
 * exclude others runs beside the turn. When the process is destroyed, every operation is abandoned.
 */
#ifndef SHIM_TURN_H
#define SHIM_TURN_H

#include <stdbool.h>
#include <sys/queue.h>

#include "common/error.h"
#include "proto/ttrpc/ttrpc_server.h"

struct turn_waiter;

/* Answers the call with @why, drops what the operation has begun, and frees @ctx. */
typedef void turn_abandon_fn(void *ctx, const struct error *why);

/* An operation beside the turn; embedded in it. */
struct turn_side {
	LIST_ENTRY(turn_side) link;
	turn_abandon_fn *abandon;
	void *ctx;
};

struct turn {
	turn_abandon_fn *abandon; /* NULL: the turn is free */
	void *ctx;
	STAILQ_HEAD(turn_waiters, turn_waiter) waiters;
	LIST_HEAD(turn_sides, turn_side) sides;
};

void turn_init(struct turn *turn);
bool turn_taken(const struct turn *turn);
void turn_take(struct turn *turn, turn_abandon_fn *abandon, void *ctx); /* the turn is free */

/* Calls @handler with @call when the turn is over, unless its deadline has passed by then. */
void turn_wait(struct turn *turn, ttrpc_handler_fn *handler, struct ttrpc_call *call,
               const ProtobufCMessage *request, void *ctx);

/* Begins an operation beside the turn, taken or free. It ends with turn_side_remove(), also in
 * @abandon. */
void turn_side_add(struct turn *turn, struct turn_side *side, turn_abandon_fn *abandon, void *ctx);
void turn_side_remove(struct turn_side *side);

/* Frees the turn and runs the handlers of the waiting calls, in order. They may free @turn: it must
 * be the caller's last use of it. */
void turn_over(struct turn *turn);

/* Ends the holder's operation before the process is destroyed: calls go on waiting until
 * turn_end(). */
void turn_leave(struct turn *turn);

/* For the end of the process: abandons every operation on it, then does as turn_over(). */
void turn_end(struct turn *turn, const struct error *why);

#endif
