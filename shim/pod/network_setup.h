/*
 * Tells the guest's agent of the pod's networks, one call after another: each interface, then the
 * routes, which need the addresses, then the neighbours. What it has been told before is not told
 * again.
 */
#ifndef SHIM_NETWORK_SETUP_H
#define SHIM_NETWORK_SETUP_H

#include "common/error.h"

struct agent;
struct guest_network;
struct network_setup;

/*
 * @before: what the agent was told last; NULL: nothing. All three outlive the setup. @done is
 * called once, from the loop, and may destroy it. *out is NULL, and @done not called, when there is
 * nothing to be told.
 */
int network_setup_start(struct agent *agent, const struct guest_network *guest,
                        const struct guest_network *before, done_fn *done, void *ctx,
                        struct network_setup **out, struct error *err);
void network_setup_destroy(struct network_setup *setup); /* NULL is fine; no callback */

#endif
