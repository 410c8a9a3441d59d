#include "shim/network/served_link.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stddef.h>
#include <string.h>

#include "common/error.h"
#include "common/netlink/net_state.h"

#define ETHERNET_MAC_LEN 6
#define OWN_NETNS        (-1) /* of net_link.lower_netns */

/* @scope: at least so wide. */
static bool has_address(const struct net_state *state, const struct net_link *link, int scope)
{
	for (size_t i = 0; i < state->n_addresses; i++)
		if (state->addresses[i].link == link->index && state->addresses[i].scope <= scope)
			return true;
	return false;
}

/* What a VRF is the master of keeps its packets. */
static bool is_port(const struct net_state *state, const struct net_link *link)
{
	const struct net_link *master =
		net_link_by_index(state->links, state->n_links, link->master);

	return link->master && master && strcmp(master->kind, "vrf") != 0;
}

/* The lower end of a veth is its other end. */
static bool is_on(const struct net_link *link, const struct net_link *lower)
{
	return link->lower == lower->index && link->lower_netns == OWN_NETNS &&
	       strcmp(link->kind, "veth") != 0;
}

static bool carries_others(const struct net_state *state, const struct net_link *link)
{
	for (size_t i = 0; i < state->n_links; i++)
		if (is_on(&state->links[i], link) && state->links[i].flags & IFF_UP)
			return true;
	return false;
}

bool served_link_counts(const struct net_state *state, const struct net_link *link)
{
	int scope = carries_others(state, link) ? RT_SCOPE_LINK - 1 : RT_SCOPE_NOWHERE;

	return link->flags & IFF_UP && !(link->flags & IFF_LOOPBACK) &&
	       has_address(state, link, scope) && !is_port(state, link);
}

/* A vlan has packets that the link below has not: those with its tag. Of the others' both links see
 * some, and what the link below sees the namespace itself would answer: for a macvlan's address, too
 * (arp_ignore). */
static bool can_be_on(const struct net_state *state, const struct net_link *link,
                      const struct net_link *lower)
{
	return !strcmp(link->kind, "vlan") && !served_link_counts(state, lower);
}

int served_link_check(const struct net_state *state, const struct net_link *link, struct error *err)
{
	if (link->type != ARPHRD_ETHER || link->mac.len != ETHERNET_MAC_LEN)
		return error_set(
			err, ERROR_UNIMPLEMENTED,
			"link \"%s\" of kind \"%s\": not supported, since it is not an Ethernet",
			link->name, link->is_tun ? "tun" : link->kind);
	for (size_t i = 0; i < state->n_links; i++) {
		const struct net_link *lower = &state->links[i];

		if (is_on(link, lower) && !can_be_on(state, link, lower))
			return error_set(err, ERROR_UNIMPLEMENTED,
			                 "link \"%s\" of kind \"%s\" on link \"%s\": not supported",
			                 link->name, link->kind, lower->name);
	}
	return 0;
}
