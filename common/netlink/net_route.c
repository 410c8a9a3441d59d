#include "common/netlink/net_route.h"

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/mem.h"
#include "common/netlink/net_attr.h"
#include "common/netlink/net_socket.h"

static void take_metrics(struct nlattr *attr, struct net_route *route)
{
	struct nlattr *metrics[NET_METRICS];

	if (nla_parse_nested(metrics, RTAX_MAX, attr, NULL) < 0)
		return;
	for (int i = 1; i < NET_METRICS; i++)
		if (i != RTAX_CC_ALGO)
			route->metrics[i] = net_attr_u32(metrics[i], 0);
	net_attr_text(metrics[RTAX_CC_ALGO], route->congestion, sizeof(route->congestion));
}

/* RTA_VIA has a gateway of the other family. */
static struct net_ip take_gateway(struct nlattr **attrs, uint8_t family)
{
	const struct rtvia *via;
	struct net_ip ip = { 0 };
	size_t size;

	if (!attrs[RTA_VIA])
		return net_attr_ip(attrs[RTA_GATEWAY], family);
	via = nla_data(attrs[RTA_VIA]);
	size = nla_len(attrs[RTA_VIA]) < (int)sizeof(*via) ? 0
	                                                   : net_ip_size(via->rtvia_family & 0xff);
	if (!size || nla_len(attrs[RTA_VIA]) < (int)(sizeof(*via) + size))
		return ip;
	ip.family = (uint8_t)via->rtvia_family;
	memcpy(ip.bytes, via->rtvia_addr, size);
	return ip;
}

static int take_hops(struct nlattr *attr, struct net_route *route, struct error *err)
{
	struct rtnexthop *hop = nla_data(attr);
	int left = nla_len(attr);

	for (; left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
	     left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		struct nlattr *attrs[RTA_MAX + 1];

		if (route->n_hops == NET_NEXTHOPS_MAX)
			return error_set(err, ERROR_RESOURCE_EXHAUSTED,
			                 "a route of more than %d hops", NET_NEXTHOPS_MAX);
		if (nla_parse(attrs, RTA_MAX, (struct nlattr *)RTNH_DATA(hop),
		              hop->rtnh_len - (int)sizeof(*hop), NULL) < 0)
			return net_attr_error(err, "route");
		route->has_encap |= attrs[RTA_ENCAP] != NULL;
		route->hops[route->n_hops++] = (struct net_nexthop){
			.link = hop->rtnh_ifindex,
			.gateway = take_gateway(attrs, route->family),
			.flags = hop->rtnh_flags & RTNH_F_ONLINK,
			.weight = hop->rtnh_hops,
		};
	}
	return 0;
}

static int take_path(struct nlattr **attrs, struct net_route *route, struct error *err)
{
	if (attrs[RTA_MULTIPATH])
		return take_hops(attrs[RTA_MULTIPATH], route, err);
	if (!attrs[RTA_OIF] && !attrs[RTA_GATEWAY] && !attrs[RTA_VIA])
		return 0;
	route->hops[route->n_hops++] = (struct net_nexthop){
		.link = (int)net_attr_u32(attrs[RTA_OIF], 0),
		.gateway = take_gateway(attrs, route->family),
		.flags = route->flags & RTNH_F_ONLINK,
	};
	return 0;
}

static struct net_prefix take_prefix(struct nlattr *attr, uint8_t family, uint8_t len)
{
	struct net_prefix prefix = { .ip = net_attr_ip(attr, family), .len = len };

	prefix.ip.family = family;
	return prefix;
}

static int parse_route(struct nlmsghdr *header, void *item, struct error *err)
{
	const struct rtmsg *info = nlmsg_data(header);
	struct net_route *route = item;
	struct nlattr *attrs[RTA_MAX + 1];
	int r;

	if (header->nlmsg_type != RTM_NEWROUTE)
		return 0;
	if (nlmsg_parse(header, sizeof(*info), attrs, RTA_MAX, NULL) < 0)
		return net_attr_error(err, "route");
	if (!net_ip_size(info->rtm_family) || info->rtm_flags & RTM_F_CLONED)
		return 0;
	route->family = info->rtm_family;
	route->destination = take_prefix(attrs[RTA_DST], info->rtm_family, info->rtm_dst_len);
	route->source = take_prefix(attrs[RTA_SRC], info->rtm_family, info->rtm_src_len);
	route->preferred_source = net_attr_ip(attrs[RTA_PREFSRC], info->rtm_family);
	route->scope = info->rtm_scope;
	route->type = info->rtm_type;
	route->protocol = info->rtm_protocol;
	route->tos = info->rtm_tos;
	route->preference = net_attr_u8(attrs[RTA_PREF], 0);
	route->table = net_attr_u32(attrs[RTA_TABLE], info->rtm_table);
	route->metric = net_attr_u32(attrs[RTA_PRIORITY], 0);
	route->flags = info->rtm_flags;
	route->has_encap = attrs[RTA_ENCAP] != NULL;
	if (attrs[RTA_METRICS])
		take_metrics(attrs[RTA_METRICS], route);
	r = take_path(attrs, route, err);
	return r < 0 ? r : 1;
}

int net_route_list(struct net_socket *socket, struct net_route **routes, size_t *n,
                   struct error *err)
{
	struct rtmsg header = { .rtm_family = AF_UNSPEC };
	struct net_dump dump = {
		.what = "routes",
		.type = RTM_GETROUTE,
		.header = &header,
		.header_len = sizeof(header),
		.item_size = sizeof(struct net_route),
		.max = NET_ROUTES_MAX,
		.parse = parse_route,
	};

	return net_socket_dump(socket, &dump, (void **)routes, n, err);
}

static void put_gateway(struct nl_msg *message, const struct net_route *route,
                        const struct net_ip *gateway)
{
	char bytes[sizeof(struct rtvia) + sizeof(gateway->bytes)] = { 0 };
	__kernel_sa_family_t family = gateway->family;

	if (!net_ip_is_set(gateway))
		return;
	if (gateway->family == route->family) {
		net_attr_put_ip(message, RTA_GATEWAY, gateway);
		return;
	}
	memcpy(bytes, &family, sizeof(family));
	memcpy(bytes + offsetof(struct rtvia, rtvia_addr), gateway->bytes,
	       net_ip_size(gateway->family));
	net_attr_put(message, RTA_VIA, bytes,
	             offsetof(struct rtvia, rtvia_addr) + net_ip_size(gateway->family));
}

static struct nlattr *nest(struct nl_msg *message, int type)
{
	struct nlattr *attr = nla_nest_start(message, type);

	if (!attr)
		abort();
	return attr;
}

static void put_metrics(struct nl_msg *message, const struct net_route *route)
{
	struct nlattr *metrics = nest(message, RTA_METRICS);

	for (int i = 1; i < NET_METRICS; i++)
		if (route->metrics[i] && i != RTAX_CC_ALGO)
			net_attr_put_u32(message, i, route->metrics[i]);
	if (*route->congestion)
		net_attr_put(message, RTAX_CC_ALGO, route->congestion,
		             strlen(route->congestion) + 1);
	nla_nest_end(message, metrics); /* drops it when it is empty */
}

static void put_hops(struct nl_msg *message, const struct net_route *route)
{
	struct nlattr *hops = nest(message, RTA_MULTIPATH);

	for (size_t i = 0; i < route->n_hops; i++) {
		const struct net_nexthop *from = &route->hops[i];
		struct rtnexthop *hop = nlmsg_reserve(message, sizeof(*hop), NLMSG_ALIGNTO);
		size_t start;

		if (!hop)
			abort();
		start = nlmsg_hdr(message)->nlmsg_len - sizeof(*hop);
		*hop = (struct rtnexthop){
			.rtnh_flags = from->flags,
			.rtnh_hops = from->weight,
			.rtnh_ifindex = from->link,
		};
		put_gateway(message, route, &from->gateway);
		hop->rtnh_len = (unsigned short)(nlmsg_hdr(message)->nlmsg_len - start);
	}
	nla_nest_end(message, hops);
}

static void put_path(struct nl_msg *message, const struct net_route *route)
{
	if (route->n_hops > 1) {
		put_hops(message, route);
	} else if (route->n_hops == 1) {
		put_gateway(message, route, &route->hops[0].gateway);
		if (route->hops[0].link)
			net_attr_put_u32(message, RTA_OIF, (uint32_t)route->hops[0].link);
	}
}

static struct nl_msg *new_message(int type, int flags, const struct net_route *route)
{
	struct rtmsg header = {
		.rtm_family = route->family,
		.rtm_dst_len = route->destination.len,
		.rtm_src_len = route->source.len,
		.rtm_tos = route->tos,
		.rtm_protocol = route->protocol,
		.rtm_scope = route->scope,
		.rtm_type = route->type,
		.rtm_flags = route->n_hops == 1 ? route->hops[0].flags : 0,
	};
	struct nl_msg *message = net_message(type, flags, &header, sizeof(header));

	if (route->destination.len)
		net_attr_put_ip(message, RTA_DST, &route->destination.ip);
	if (route->source.len)
		net_attr_put_ip(message, RTA_SRC, &route->source.ip);
	net_attr_put_ip(message, RTA_PREFSRC, &route->preferred_source);
	net_attr_put_u32(message, RTA_TABLE, route->table ? route->table : RT_TABLE_MAIN);
	if (route->metric)
		net_attr_put_u32(message, RTA_PRIORITY, route->metric);
	if (route->preference)
		net_attr_put(message, RTA_PREF, &route->preference, sizeof(route->preference));
	put_path(message, route);
	return message;
}

int net_route_add(struct net_socket *socket, const struct net_route *route, enum net_route_how how,
                  struct error *err)
{
	int flags = NLM_F_CREATE | (how == NET_ROUTE_REPLACE ? NLM_F_REPLACE : NLM_F_EXCL);
	struct nl_msg *message = new_message(RTM_NEWROUTE, flags, route);

	put_metrics(message, route);
	return net_socket_request(socket, message, err);
}

int net_route_delete(struct net_socket *socket, const struct net_route *route, struct error *err)
{
	return net_socket_request(socket, new_message(RTM_DELROUTE, 0, route), err);
}

/* The lower, the sooner. */
static int rank(const struct net_route *route)
{
	bool by_gateway = false;

	for (size_t i = 0; i < route->n_hops; i++)
		by_gateway |= net_ip_is_set(&route->hops[i].gateway) &&
		              !(route->hops[i].flags & RTNH_F_ONLINK);
	return 256 * by_gateway + RT_SCOPE_NOWHERE - route->scope;
}

struct ranked {
	const struct net_route *route;
	size_t index;
};

static int compare(const void *a, const void *b)
{
	const struct ranked *one = a;
	const struct ranked *other = b;
	int r = rank(one->route) - rank(other->route);

	return r ? r : one->index < other->index ? -1 : one->index > other->index;
}

int net_route_add_all(struct net_socket *socket, const struct net_route *routes, size_t n,
                      enum net_route_how how, size_t *failed, struct error *err)
{
	autofree struct ranked *ranked = mem_alloc((n + 1) * sizeof(*ranked));
	int r = 0;

	for (size_t i = 0; i < n; i++)
		ranked[i] = (struct ranked){ &routes[i], i };
	qsort(ranked, n, sizeof(*ranked), compare);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = net_route_add(socket, ranked[i].route, how, err);
		if (r < 0)
			*failed = ranked[i].index;
	}
	return r;
}

static void add_text(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add_text(char *text, const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + len, NET_ROUTE_TEXT_MAX - len, format, args);
	va_end(args);
}

const char *net_route_text(const struct net_route *route, char text[NET_ROUTE_TEXT_MAX])
{
	char ip[NET_PREFIX_TEXT_MAX];

	*text = '\0';
	if (route->destination.len)
		add_text(text, "%s", net_prefix_text(&route->destination, ip));
	else
		add_text(text, "default");
	for (size_t i = 0; i < route->n_hops; i++)
		if (net_ip_is_set(&route->hops[i].gateway))
			add_text(text, " via %s", net_ip_text(&route->hops[i].gateway, ip));
	if (route->table && route->table != RT_TABLE_MAIN)
		add_text(text, " table %u", route->table);
	if (route->metric)
		add_text(text, " metric %u", route->metric);
	return text;
}
