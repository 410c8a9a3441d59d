/* IP addresses of links. */
#ifndef COMMON_NET_ADDRESS_H
#define COMMON_NET_ADDRESS_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netlink/net_ip.h"

struct error;
struct net_socket;

#define NET_ADDRESSES_MAX 8192

struct net_address {
	int link;              /* its index */
	struct net_prefix own; /* the link's own address, and its network's length */
	struct net_ip peer;    /* of a point-to-point link; none elsewhere */
	struct net_ip broadcast;
	uint8_t scope;  /* RT_SCOPE_* */
	uint32_t flags; /* IFA_F_*: IFA_F_PERMANENT is set by the kernel where it has no lifetime */
	uint32_t metric;      /* of its prefix route; 0: the kernel's */
	uint32_t preferred_s; /* UINT32_MAX: for ever; 0: it is deprecated */
	uint32_t valid_s;     /* UINT32_MAX: for ever */
	char label[IFNAMSIZ]; /* of IPv4 */
};

/* As a struct that is zero has it, but for the lifetimes: for ever. */
#define NET_ADDRESS_INIT                                                                           \
	{                                                                                          \
		.preferred_s = UINT32_MAX, .valid_s = UINT32_MAX                                   \
	}

int net_address_list(struct net_socket *socket, struct net_address **addresses, size_t *n,
                     struct error *err);

/*
 * Adds it, or changes the one that is there. An IPv6 address is usable at once with IFA_F_NODAD in
 * @flags; without, it is tentative for a second. @label only when it begins with the link's name.
 */
int net_address_add(struct net_socket *socket, const struct net_address *address,
                    struct error *err);
int net_address_delete(struct net_socket *socket, const struct net_address *address,
                       struct error *err);

#endif
