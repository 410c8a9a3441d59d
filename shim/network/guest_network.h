/*
 * The networks of a pod as the guest's agent is told of them: what is in the namespace, in the
 * messages of upstream's protocol (proto/types.proto), as upstream's runtime fills them in.
 *
 *   told                                    left out
 *   the cards' links, with all addresses    an address that another host has, too (DADFAILED)
 *   routes of the cards' links              those that the guest's kernel makes of the addresses
 *                                           (RTPROT_KERNEL), those of other links
 *   permanent neighbours                    what the kernel has learned
 */
#ifndef SHIM_GUEST_NETWORK_H
#define SHIM_GUEST_NETWORK_H

#include <stddef.h>

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"

struct net_link;
struct net_state;

struct guest_network {
	Grpc__Interfaces interfaces;
	Grpc__Routes routes; /* each after those that its gateway is reached by */
	Grpc__ARPNeighbors neighbours;
};

/* @links: those of the guest's cards. Their state is that of @state, or of themselves where they
 * have gone. */
struct guest_network *guest_network_create(const struct net_state *state,
                                           const struct net_link *const *links, size_t n_links);
void guest_network_destroy(struct guest_network *network); /* NULL is fine */

/* Where the guest finds the card of an interface: see vm_device_path(). */
void guest_network_set_path(struct guest_network *network, size_t interface, const char *path);

CLEANUP_DESTROY(guest_network)

#endif
