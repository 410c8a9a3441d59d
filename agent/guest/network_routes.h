/* The routes and rules that the host has set in this guest. */
#ifndef AGENT_NETWORK_ROUTES_H
#define AGENT_NETWORK_ROUTES_H

#include "proto/agent.pb-c.h"

struct error;
struct net_socket;
struct network_routes;

struct network_routes *network_routes_create(void);
void network_routes_destroy(struct network_routes *routes); /* NULL is fine; they stay set */

/* As network.h has it. */
int network_routes_update(struct network_routes *routes, struct net_socket *socket,
                          const Grpc__UpdateRoutesRequest *message, struct error *err);
int network_routes_list(struct net_socket *socket, Grpc__Routes **out, struct error *err);

#endif
