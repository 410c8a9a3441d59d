/*
 * The pod's network while the machine runs: what changes in the namespace is done to the guest. A
 * link that comes has a card plugged in, a card whose link has gone is unplugged, and the agent is
 * told of addresses, routes, rules and neighbours. (docker sets a network up after Create, and
 * `docker network connect` at any time; nobody tells the shim.)
 *
 * The namespace is read again after each step, so that what happens meanwhile is not missed; it has
 * settled when the guest has what is in it, or has not after so many steps that it will never rest.
 */
#ifndef SHIM_LIVE_NETWORK_H
#define SHIM_LIVE_NETWORK_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

struct agent;
struct ev_loop;
struct live_network;
struct network;
struct vm;

typedef void live_network_changed_fn(void *ctx);

/* All outlive the live network. */
struct live_network_config {
	struct network *network;
	struct vm *vm;
	struct agent *agent;
	unsigned int features; /* the agent's */
	int timeout_ms;        /* to plug a card in, or to unplug one */
	/* Something has changed, and what was to be done for it has ended; from the loop, as
	 * @on_settled. */
	live_network_changed_fn *on_changed;
	void *ctx;
};

/* @on_settled is called, from the loop, when what live_network_settle() has begun has ended; @err
 * is the first thing that went wrong, which is logged as well. It must not destroy it. */
int live_network_create(struct ev_loop *loop, const struct live_network_config *config,
                        done_fn *on_settled, void *ctx, struct live_network **out,
                        struct error *err);

/* True: the guest has what is in the namespace now. False: on_settled follows. */
bool live_network_settle(struct live_network *live);

/* The machine or the agent ends: from now on nothing is done any more, and no callback comes. */
void live_network_stop(struct live_network *live); /* NULL is fine */

/* NULL is fine. The machine has ended, or is destroyed: it may still hold callbacks before. */
void live_network_destroy(struct live_network *live);

CLEANUP_DESTROY(live_network)

#endif
