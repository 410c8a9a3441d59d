/* Routes. */
#ifndef COMMON_NET_ROUTE_H
#define COMMON_NET_ROUTE_H

#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netlink/net_ip.h"

struct error;
struct net_socket;

#define NET_ROUTES_MAX     16384
#define NET_NEXTHOPS_MAX   16 /* of a route */
#define NET_CONGESTION_MAX 16 /* linux: TCP_CA_NAME_MAX */
#define NET_METRICS        (RTAX_MAX + 1)
#define NET_ROUTE_TEXT_MAX 160

struct net_nexthop {
	int link;              /* its index; 0: none, as of a blackhole */
	struct net_ip gateway; /* none: what is behind the link. Of either family: an IPv4 route may
	                          go by an IPv6 gateway */
	uint8_t flags;         /* RTNH_F_ONLINK */
	uint8_t weight;        /* less one, as in struct rtnexthop */
};

struct net_route {
	uint8_t family;
	struct net_prefix destination;
	struct net_prefix source;       /* of packets that it is for, in IPv6; length 0: all */
	struct net_ip preferred_source; /* of packets that it is chosen for */
	uint8_t scope;                  /* RT_SCOPE_* */
	uint8_t type;                   /* RTN_UNICAST, RTN_BLACKHOLE, ... */
	uint8_t protocol;               /* RTPROT_*: who made it */
	uint8_t tos;
	uint8_t preference; /* ICMPV6_ROUTER_PREF_* */
	uint32_t table;     /* RT_TABLE_* and beyond */
	uint32_t metric;    /* "priority" in netlink */
	uint32_t flags;     /* RTM_F_*, and RTNH_F_* of a route of one hop */
	uint32_t
		metrics[NET_METRICS]; /* by RTAX_*: RTAX_MTU, RTAX_LOCK; 0: not set. RTAX_CC_ALGO is
	                                  @congestion */
	char congestion[NET_CONGESTION_MAX];
	bool has_encap; /* of a tunnel without a link (MPLS, SRv6), which is not read */
	struct net_nexthop hops[NET_NEXTHOPS_MAX];
	size_t n_hops;
};

/* All tables; without those that the kernel keeps as a cache. ERROR_RESOURCE_EXHAUSTED: too many of
 * them, or of the hops of one. */
int net_route_list(struct net_socket *socket, struct net_route **routes, size_t *n,
                   struct error *err);

/* NET_ROUTE_ADD fails with -EEXIST when one with the same destination, metric and table is there;
 * NET_ROUTE_REPLACE replaces it. */
enum net_route_how {
	NET_ROUTE_ADD,
	NET_ROUTE_REPLACE,
};

int net_route_add(struct net_socket *socket, const struct net_route *route, enum net_route_how how,
                  struct error *err);
int net_route_delete(struct net_socket *socket, const struct net_route *route, struct error *err);

/*
 * Adds all of them in an order in which each gateway can be reached, since the kernel refuses a
 * route to a gateway that is not on a link (fib_check_nh(), ip6_validate_gw()): first those without
 * a gateway, or with one that is on the link by decree (RTNH_F_ONLINK), then the others. The first
 * that fails ends it: *failed is its index, and those before it stay.
 */
int net_route_add_all(struct net_socket *socket, const struct net_route *routes, size_t n,
                      enum net_route_how how, size_t *failed, struct error *err);

/* "10.0.0.0/8 via 10.1.0.1", "default via fe80::1 table 100 metric 5"; returns @text. */
const char *net_route_text(const struct net_route *route, char text[NET_ROUTE_TEXT_MAX]);

#endif
