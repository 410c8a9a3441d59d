/*
 * The structs of common/netlink/ as messages of types.proto. A message is allocated as protobuf-c
 * does it, to be freed by message_free() or with the message that it becomes a part of.
 *
 * What upstream's fields cannot say goes into a message of our own (details), for an agent with
 * FEATURE_NETWORK_DETAILS. Without, it is left out: the caller asks first whether anything is lost.
 */
#ifndef PROTO_NETWORK_MESSAGE_H
#define PROTO_NETWORK_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/types.pb-c.h"

struct net_address;
struct net_link;
struct net_neighbour;
struct net_route;
struct net_rule;

/* Links by index, for their names: one that is not among them is "". */
struct network_links {
	const struct net_link *all;
	size_t n;
};

/* Its addresses are the caller's to add. */
Types__Interface *network_link_message(const struct net_link *link);

/* Whether upstream's fields say all of it. Who made a route (its protocol) is not counted. */
bool network_address_is_plain(const struct net_address *address);
bool network_route_is_plain(const struct net_route *route);

Types__IPAddress *network_address_message(const struct net_address *address, bool details);
Types__Route *network_route_message(const struct net_route *route,
                                    const struct network_links *links, bool details);
Types__ARPNeighbor *network_neighbour_message(const struct net_neighbour *neighbour,
                                              const struct network_links *links);
Types__Rule *network_rule_message(const struct net_rule *rule);

#endif
