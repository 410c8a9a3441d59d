/* What upstream's fields leave to the agent, so that both sides agree on it. */
#ifndef PROTO_NETWORK_DEFAULT_H
#define PROTO_NETWORK_DEFAULT_H

#include <linux/if_addr.h>

#include "common/netlink/net_ip.h"

#define NETWORK_METRIC_IPV6 1024 /* linux/ipv6_route.h: IP6_RT_PRIO_USER */

/* The flags of an address that somebody has set, rather than the kernel. */
#define NETWORK_ADDRESS_FLAGS                                                                      \
	(IFA_F_NOPREFIXROUTE | IFA_F_DEPRECATED | IFA_F_HOMEADDRESS | IFA_F_MCAUTOJOIN)

/* The last address of an IPv4 network; none of IPv6, and of networks of one or two addresses. */
struct net_ip network_default_broadcast(const struct net_prefix *own);

#endif
