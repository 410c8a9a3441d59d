/*
 * Messages of types.proto as the structs of common/netlink/, checked: what the kernel would not
 * understand, or what is too long, is ERROR_INVALID_ARGUMENT with its field and value. @out is
 * untouched then.
 */
#ifndef PROTO_NETWORK_PARSE_H
#define PROTO_NETWORK_PARSE_H

#include "proto/network/network_message.h"

struct error;

/* Of an address without details, what network_default.h says. The link is the caller's to set. */
int network_address_parse(const Types__IPAddress *message, struct net_address *out,
                          struct error *err);

/* ERROR_NOT_FOUND: a device that is not among @links. */
int network_route_parse(const Types__Route *message, const struct network_links *links,
                        struct net_route *out, struct error *err);
int network_neighbour_parse(const Types__ARPNeighbor *message, const struct network_links *links,
                            struct net_neighbour *out, struct error *err);

int network_rule_parse(const Types__Rule *message, struct net_rule *out, struct error *err);

#endif
