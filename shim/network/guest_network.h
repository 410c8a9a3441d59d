/*
 * The networks of a pod as the guest's agent is told of them: what is in the namespace, in the
 * messages of upstream's protocol, as upstream's runtime fills them in, and in fields of our own
 * (proto/types.proto).
 *
 *   told                                    left out
 *   the cards' links, with all addresses    an address that another host has, too (DADFAILED)
 *   routes of the cards' links, and those   those that the guest's kernel makes of the addresses
 *   that lead nowhere (blackholes)          (RTPROT_KERNEL), those of other links
 *   settings of the cards that were changed those that the link began with (link_settings.h)
 *   rules                                   those that every namespace begins with
 *   permanent neighbours                    what the kernel has learned
 *
 * An agent without FEATURE_NETWORK_DETAILS is told in upstream's fields what they can say. What
 * they cannot say and a packet's way depends on is in our own all the same, so that the call is
 * refused by the name of the field (features_check()).
 */
#ifndef SHIM_GUEST_NETWORK_H
#define SHIM_GUEST_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"

struct link_settings;
struct net_link;
struct net_state;

struct guest_network {
	Grpc__Interfaces interfaces;
	Grpc__Routes routes; /* each after those that its gateway is reached by */
	Types__Rule **rules;
	size_t n_rules;
	bool details; /* the agent knows our own fields */
	Grpc__ARPNeighbors neighbours;
};

/* @cards: the links of the guest's cards. Their state is that of @state, or of themselves where they
 * have gone. @details: the agent has FEATURE_NETWORK_DETAILS. */
struct guest_network *guest_network_create(const struct net_state *state,
                                           const struct net_link *const *cards, size_t n_cards,
                                           bool details);
void guest_network_destroy(struct guest_network *network); /* NULL is fine */

/* What of the card's settings is not the kernel's; the agent has FEATURE_LINK_SETTINGS. */
void guest_network_set_settings(struct guest_network *network, size_t interface,
                                const struct link_settings *settings);

/* Where the guest finds the card of an interface: see vm_device_path(). */
void guest_network_set_path(struct guest_network *network, size_t interface, const char *path);

CLEANUP_DESTROY(guest_network)

#endif
