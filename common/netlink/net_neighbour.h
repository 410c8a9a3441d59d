/* Neighbours: which MAC address an IP address of a link has. */
#ifndef COMMON_NET_NEIGHBOUR_H
#define COMMON_NET_NEIGHBOUR_H

#include <stddef.h>
#include <stdint.h>

#include "common/netlink/net_ip.h"
#include "common/netlink/net_link.h"

struct error;
struct net_socket;

#define NET_NEIGHBOURS_MAX 8192

struct net_neighbour {
	int link; /* its index */
	struct net_ip ip;
	struct net_mac mac; /* none: not resolved, or of a link without ARP */
	uint16_t state;     /* NUD_*: NUD_PERMANENT is one that somebody has set */
	uint8_t flags;      /* NTF_*: NTF_ROUTER, NTF_EXT_LEARNED */
};

/* Of IPv4 and IPv6, without those that are answered for others (NTF_PROXY). */
int net_neighbour_list(struct net_socket *socket, struct net_neighbour **neighbours, size_t *n,
                       struct error *err);

/* Adds it, or changes the one that is there. */
int net_neighbour_add(struct net_socket *socket, const struct net_neighbour *neighbour,
                      struct error *err);
int net_neighbour_delete(struct net_socket *socket, const struct net_neighbour *neighbour,
                         struct error *err);

#endif
