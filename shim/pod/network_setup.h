/*
 * Tells the guest's agent of the pod's networks, one call after another: each interface, then the
 * routes, which need the addresses, then the neighbours.
 */
#ifndef SHIM_NETWORK_SETUP_H
#define SHIM_NETWORK_SETUP_H

#include "common/error.h"

struct agent;
struct guest_network;
struct network_setup;

/* Takes over @guest, also on failure; @agent outlives the setup. @done is called once, from the
 * loop, and may destroy it. */
int network_setup_start(struct agent *agent, struct guest_network *guest, done_fn *done, void *ctx,
                        struct network_setup **out, struct error *err);
void network_setup_destroy(struct network_setup *setup); /* NULL is fine; no callback */

#endif
