#include "shim/pod/turn.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"

struct turn_waiter {
	STAILQ_ENTRY(turn_waiter) link;
	ttrpc_handler_fn *handler;
	struct ttrpc_call *call;
	const ProtobufCMessage *request; /* the call's */
	void *ctx;
};

void turn_init(struct turn *turn)
{
	turn->abandon = NULL;
	STAILQ_INIT(&turn->waiters);
	LIST_INIT(&turn->sides);
}

bool turn_taken(const struct turn *turn)
{
	return turn->abandon != NULL;
}

void turn_take(struct turn *turn, turn_abandon_fn *abandon, void *ctx)
{
	assert(!turn->abandon);
	turn->abandon = abandon;
	turn->ctx = ctx;
}

void turn_wait(struct turn *turn, ttrpc_handler_fn *handler, struct ttrpc_call *call,
               const ProtobufCMessage *request, void *ctx)
{
	struct turn_waiter *waiter = mem_new(struct turn_waiter);

	*waiter = (struct turn_waiter){
		.handler = handler,
		.call = call,
		.request = request,
		.ctx = ctx,
	};
	STAILQ_INSERT_TAIL(&turn->waiters, waiter, link);
}

void turn_side_add(struct turn *turn, struct turn_side *side, turn_abandon_fn *abandon, void *ctx)
{
	side->abandon = abandon;
	side->ctx = ctx;
	LIST_INSERT_HEAD(&turn->sides, side, link);
}

void turn_side_remove(struct turn_side *side)
{
	LIST_REMOVE(side, link);
}

void turn_over(struct turn *turn)
{
	struct turn_waiters ready = STAILQ_HEAD_INITIALIZER(ready);
	struct turn_waiter *waiter;

	turn->abandon = NULL;
	STAILQ_CONCAT(&ready, &turn->waiters);
	while ((waiter = STAILQ_FIRST(&ready))) {
		STAILQ_REMOVE_HEAD(&ready, link);
		if (ttrpc_call_is_late(waiter->call))
			ttrpc_call_finish(waiter->call, NULL);
		else
			waiter->handler(waiter->call, waiter->request, waiter->ctx);
		free(waiter);
	}
}

void turn_leave(struct turn *turn)
{
	turn->abandon = NULL;
}

void turn_end(struct turn *turn, const struct error *why)
{
	struct turn_side *side;

	if (turn->abandon)
		turn->abandon(turn->ctx, why);
	while ((side = LIST_FIRST(&turn->sides)))
		side->abandon(side->ctx, why);
	turn_over(turn);
}
