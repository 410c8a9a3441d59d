/*
 * One operation at a time on a process, as under a lock: a call that comes while one is under way
 * waits for its turn, and is then looked at anew, as if it had just come. Work that excludes no
 * other goes on beside the turn. Both are told when the process goes away.
 */
#ifndef SHIM_TURN_H
#define SHIM_TURN_H

#include <stdbool.h>
#include <sys/queue.h>

#include "common/error.h"
#include "proto/ttrpc/ttrpc_server.h"

struct turn_waiter;

/* The call is answered with @why, what it has begun is dropped, and @ctx is freed. */
typedef void turn_abandon_fn(void *ctx, const struct error *why);

/* Work beside the turn: embedded. */
struct turn_side {
	LIST_ENTRY(turn_side) link;
	turn_abandon_fn *abandon;
	void *ctx;
};

struct turn {
	turn_abandon_fn *abandon; /* NULL: the turn is free */
	void *ctx;
	STAILQ_HEAD(turn_waiters, turn_waiter) waiters;
	LIST_HEAD(, turn_side) sides;
};

void turn_init(struct turn *turn);
bool turn_taken(const struct turn *turn);
void turn_take(struct turn *turn, turn_abandon_fn *abandon, void *ctx); /* it is free */

/* @handler gets @call again when the turn is over. */
void turn_wait(struct turn *turn, ttrpc_handler_fn *handler, struct ttrpc_call *call,
               const ProtobufCMessage *request, void *ctx);

/* Work begins beside the turn, whoever holds it; it ends by turn_side_remove(), in @abandon too. */
void turn_side_add(struct turn *turn, struct turn_side *side, turn_abandon_fn *abandon, void *ctx);
void turn_side_remove(struct turn_side *side);

/* Frees the turn and hands those who waited to their handlers, in order. @turn may be freed by
 * them: the caller's last use of it. */
void turn_over(struct turn *turn);

/* The holder has ended its work, and the process goes: those who wait stay until turn_end(). */
void turn_leave(struct turn *turn);

/* The process goes: all work on it is abandoned. Then as turn_over(). */
void turn_end(struct turn *turn, const struct error *why);

#endif
