/* Everything that is in a network namespace, as it was at one moment. */
#ifndef COMMON_NET_STATE_H
#define COMMON_NET_STATE_H

#include "common/netlink/net_address.h"
#include "common/netlink/net_link.h"
#include "common/netlink/net_neighbour.h"
#include "common/netlink/net_route.h"
#include "common/netlink/net_rule.h"

struct error;
struct net_socket;

struct net_state {
	struct net_link *links;
	size_t n_links;
	struct net_address *addresses;
	size_t n_addresses;
	struct net_route *routes; /* of all tables, with the kernel's own (RTPROT_KERNEL) */
	size_t n_routes;
	struct net_neighbour *neighbours; /* of all states */
	size_t n_neighbours;
	struct net_rule *rules;
	size_t n_rules;
};

/* On success net_state_fini() frees it. Links that go meanwhile can leave an index behind that no
 * link has. */
int net_state_read(struct net_socket *socket, struct net_state *out, struct error *err);
void net_state_fini(struct net_state *state); /* of a zero struct, too */

#endif
