/*
 * The guest's network, as the host sets it up and reads it (UpdateInterface, UpdateRoutes,
 * AddARPNeighbors, ListInterfaces, ListRoutes): by netlink, in the namespace that the agent is in.
 * The kernel answers at once; what is waited for is a card that has just been plugged in.
 */
#ifndef AGENT_NETWORK_H
#define AGENT_NETWORK_H

#include "common/cleanup.h"
#include "common/error.h"
#include "proto/agent.pb-c.h"

struct ev_loop;
struct network;
struct uevents;

#define NETWORK_CARD_TIMEOUT_MS 10000 /* of the guest's agent */

struct network *network_create(struct ev_loop *loop, struct uevents *uevents, int card_timeout_ms);
/* NULL is fine. What waits for a card fails: its @done is called. */
void network_destroy(struct network *network);

/*
 * Makes the link of @message as it asks (network_link.h); waits up to card_timeout_ms for it to
 * appear. @done comes once unless an error is returned, maybe before this returns. @message
 * outlives it. An error names the interface and the step; what was done stays.
 */
int network_update_interface(struct network *network, const Types__Interface *message,
                             done_fn *done, void *ctx, struct error *err);

/*
 * Adds the routes and the rules, or replaces those that are there. With @message->exact, those of
 * the last such call that are not among them go. An error names the route or the rule; those that
 * were added stay.
 */
int network_update_routes(struct network *network, const Grpc__UpdateRoutesRequest *message,
                          struct error *err);
/* The same for permanent neighbours. */
int network_add_neighbours(struct network *network, const Grpc__AddARPNeighborsRequest *message,
                           struct error *err);

/* *out is freed by message_free(). Routes: those of the main table, without the kernel's cache. */
int network_list_interfaces(struct network *network, Grpc__Interfaces **out, struct error *err);
int network_list_routes(struct network *network, Grpc__Routes **out, struct error *err);

CLEANUP_DESTROY(network)

#endif
