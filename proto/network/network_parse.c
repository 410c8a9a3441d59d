#include "proto/network/network_parse.h"

#include <linux/neighbour.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/netlink/net_state.h"
#include "proto/network/network_default.h"

static int invalid(struct error *err, const char *field, const char *value)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "invalid %s \"%s\"", field, value);
}

static int invalid_number(struct error *err, const char *field, uint32_t value)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "invalid %s %u", field, value);
}

static int parse_family(Types__IPFamily family, uint8_t *out, struct error *err)
{
	if (family != TYPES__IPFAMILY__v4 && family != TYPES__IPFAMILY__v6)
		return invalid_number(err, "family", (uint32_t)family);
	*out = family == TYPES__IPFAMILY__v6 ? AF_INET6 : AF_INET;
	return 0;
}

/* Of @family (AF_UNSPEC: of any); "" is none. */
static int parse_ip(const char *field, const char *text, uint8_t family, struct net_ip *out,
                    struct error *err)
{
	if (!*text) {
		*out = (struct net_ip){ 0 };
		return 0;
	}
	if (net_ip_parse(text, out, NULL) < 0 || (family && out->family != family))
		return invalid(err, field, text);
	return 0;
}

/* "" is the default route's. */
static int parse_prefix(const char *field, const char *text, uint8_t family, struct net_prefix *out,
                        struct error *err)
{
	*out = net_prefix_default(family);
	if (!*text)
		return 0;
	if (net_prefix_parse(text, out, NULL) < 0 || out->ip.family != family)
		return invalid(err, field, text);
	return 0;
}

/* A name that is not of a link is quoted; none is 0. */
static int parse_device(const char *name, const struct network_links *links, int *out,
                        struct error *err)
{
	const struct net_link *link = net_link_by_name(links->all, links->n, name);

	*out = 0;
	if (!*name)
		return 0;
	if (!link)
		return error_set(err, ERROR_NOT_FOUND, "no interface \"%s\"", name);
	*out = link->index;
	return 0;
}

static int parse_name(const char *field, const char *text, char out[IFNAMSIZ], struct error *err)
{
	if (strlen(text) >= IFNAMSIZ)
		return invalid(err, field, text);
	snprintf(out, IFNAMSIZ, "%s", text);
	return 0;
}

static int parse_byte(const char *field, uint32_t value, uint8_t *out, struct error *err)
{
	if (value > UINT8_MAX)
		return invalid_number(err, field, value);
	*out = (uint8_t)value;
	return 0;
}

static int parse_address_details(const Types__AddressDetails *message, struct net_address *out,
                                 struct error *err)
{
	uint8_t family = out->own.ip.family;
	int r;

	r = parse_ip("peer", message->peer, family, &out->peer, err);
	if (r == 0)
		r = parse_ip("broadcast", message->broadcast, family, &out->broadcast, err);
	if (r == 0)
		r = parse_byte("scope", message->scope, &out->scope, err);
	if (r == 0)
		r = parse_name("label", message->label, out->label, err);
	if (r < 0)
		return r;
	if (message->flags & ~(uint32_t)NETWORK_ADDRESS_FLAGS)
		return invalid_number(err, "flags", message->flags);
	out->flags = message->flags;
	out->metric = message->metric;
	if (message->flags & IFA_F_DEPRECATED)
		out->preferred_s = 0;
	return 0;
}

int network_address_parse(const Types__IPAddress *message, struct net_address *out,
                          struct error *err)
{
	struct net_address address = NET_ADDRESS_INIT;
	char text[NET_PREFIX_TEXT_MAX];
	uint8_t family = AF_UNSPEC;
	int r;

	r = parse_family(message->family, &family, err);
	if (r < 0)
		return r;
	if (!*message->address || strchr(message->address, '/') ||
	    strlen(message->address) >= NET_IP_TEXT_MAX)
		return invalid(err, "address", message->address);
	if (strlen(message->mask) > 3)
		return invalid(err, "mask", message->mask);
	snprintf(text, sizeof(text), "%s/%s", message->address, message->mask);
	r = parse_prefix("address", text, family, &address.own, err);
	if (r < 0)
		return r;
	address.broadcast = network_default_broadcast(&address.own);
	if (message->details)
		r = parse_address_details(message->details, &address, err);
	if (r == 0)
		*out = address;
	return r;
}

static int parse_hop(const char *gateway, const char *device, uint32_t flags, uint32_t weight,
                     const struct network_links *links, uint8_t family, struct net_nexthop *out,
                     struct error *err)
{
	int r;

	r = parse_ip("gateway", gateway, family, &out->gateway, err);
	if (r == 0)
		r = parse_device(device, links, &out->link, err);
	if (r == 0)
		r = parse_byte("weight", weight, &out->weight, err);
	out->flags = flags & RTNH_F_ONLINK;
	return r;
}

static int parse_hops(const Types__RouteDetails *message, const struct network_links *links,
                      struct net_route *out, struct error *err)
{
	int r = 0;

	if (message->n_hops > NET_NEXTHOPS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%zu hops: the limit is %d",
		                 message->n_hops, NET_NEXTHOPS_MAX);
	for (size_t i = 0; i < message->n_hops && r == 0; i++) {
		const Types__NextHop *hop = message->hops[i];

		r = parse_hop(hop->gateway, hop->device, hop->flags, hop->weight, links, AF_UNSPEC,
		              &out->hops[i], err);
	}
	out->n_hops = message->n_hops;
	return r;
}

static int parse_metrics(const Types__RouteDetails *message, struct net_route *out,
                         struct error *err)
{
	if (message->n_metrics > NET_METRICS)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%zu metrics: the limit is %d",
		                 message->n_metrics, NET_METRICS);
	if (strlen(message->congestion) >= sizeof(out->congestion))
		return invalid(err, "congestion", message->congestion);
	if (message->n_metrics)
		memcpy(out->metrics, message->metrics, message->n_metrics * sizeof(uint32_t));
	out->metrics[0] = out->metrics[RTAX_CC_ALGO] = 0;
	snprintf(out->congestion, sizeof(out->congestion), "%s", message->congestion);
	return 0;
}

static int parse_route_details(const Types__RouteDetails *message,
                               const struct network_links *links, struct net_route *out,
                               struct error *err)
{
	int r;

	r = parse_ip("preferred_source", message->preferred_source, out->family,
	             &out->preferred_source, err);
	if (r == 0 && message->type)
		r = parse_byte("type", message->type, &out->type, err);
	if (r == 0 && message->protocol)
		r = parse_byte("protocol", message->protocol, &out->protocol, err);
	if (r == 0)
		r = parse_byte("tos", message->tos, &out->tos, err);
	if (r == 0)
		r = parse_byte("preference", message->preference, &out->preference, err);
	if (r == 0)
		r = parse_metrics(message, out, err);
	if (r == 0)
		r = parse_hops(message, links, out, err);
	out->metric = message->metric;
	if (message->table)
		out->table = message->table;
	return r;
}

/* Upstream's runtime puts the preferred source there, which has no length; a prefix is of IPv6's
 * routes by source. */
static int parse_source(const Types__Route *message, struct net_route *out, struct error *err)
{
	if (strchr(message->source, '/'))
		return parse_prefix("source", message->source, out->family, &out->source, err);
	return parse_ip("source", message->source, out->family, &out->preferred_source, err);
}

static int parse_upstream_route(const Types__Route *message, const struct network_links *links,
                                struct net_route *out, struct error *err)
{
	int r;

	r = parse_family(message->family, &out->family, err);
	if (r < 0)
		return r;
	out->source = net_prefix_default(out->family);
	r = parse_prefix("dest", message->dest, out->family, &out->destination, err);
	if (r == 0)
		r = parse_source(message, out, err);
	if (r == 0)
		r = parse_byte("scope", message->scope, &out->scope, err);
	if (r == 0 && (*message->gateway || *message->device)) {
		r = parse_hop(message->gateway, message->device, message->flags, 0, links,
		              out->family, &out->hops[0], err);
		out->n_hops = 1;
	}
	out->metrics[RTAX_MTU] = message->mtu;
	return r;
}

int network_route_parse(const Types__Route *message, const struct network_links *links,
                        struct net_route *out, struct error *err)
{
	struct net_route route = { .table = RT_TABLE_MAIN,
		                   .type = RTN_UNICAST,
		                   .protocol = RTPROT_BOOT };
	Types__Route plain = *message;
	int r;

	if (message->details) /* its hops instead */
		plain.gateway = plain.device = (char *)"";
	r = parse_upstream_route(&plain, links, &route, err);
	if (r == 0 && message->details)
		r = parse_route_details(message->details, links, &route, err);
	if (r == 0)
		*out = route;
	return r;
}

int network_neighbour_parse(const Types__ARPNeighbor *message, const struct network_links *links,
                            struct net_neighbour *out, struct error *err)
{
	struct net_neighbour neighbour = { .state = NUD_PERMANENT };
	uint8_t family = AF_UNSPEC;
	int r;

	if (!message->toipaddress || !*message->toipaddress->address)
		return error_set(err, ERROR_INVALID_ARGUMENT, "no toIPAddress");
	r = parse_family(message->toipaddress->family, &family, err);
	if (r == 0)
		r = parse_ip("address", message->toipaddress->address, family, &neighbour.ip, err);
	if (r == 0 && *message->lladdr)
		r = net_mac_parse(message->lladdr, &neighbour.mac, err);
	if (r == 0)
		r = parse_byte("flags", (uint32_t)message->flags, &neighbour.flags, err);
	if (r == 0)
		r = parse_device(message->device, links, &neighbour.link, err);
	if (r < 0)
		return r;
	if (!neighbour.link)
		return invalid(err, "device", message->device);
	if (message->state < 0 || message->state > UINT8_MAX)
		return invalid_number(err, "state", (uint32_t)message->state);
	if (message->state)
		neighbour.state = (uint16_t)message->state;
	*out = neighbour;
	return 0;
}

static int parse_ports(const char *field, const Types__Range *message, bool *has,
                       struct fib_rule_port_range *out, struct error *err)
{
	*has = message != NULL;
	if (!message)
		return 0;
	if (message->first > UINT16_MAX || message->last > UINT16_MAX)
		return invalid_number(err, field, message->last);
	out->start = (uint16_t)message->first;
	out->end = (uint16_t)message->last;
	return 0;
}

static int parse_matches(const Types__Rule *message, struct net_rule *out, struct error *err)
{
	int r;

	r = parse_prefix("source", message->source, out->family, &out->source, err);
	if (r == 0)
		r = parse_prefix("destination", message->destination, out->family,
		                 &out->destination, err);
	if (r == 0)
		r = parse_byte("tos", message->tos, &out->tos, err);
	if (r == 0)
		r = parse_name("in", message->in, out->in, err);
	if (r == 0)
		r = parse_name("out", message->out, out->out, err);
	if (r == 0)
		r = parse_byte("ip_protocol", message->ip_protocol, &out->ip_protocol, err);
	if (r == 0)
		r = parse_ports("source_ports", message->source_ports, &out->has_source_ports,
		                &out->source_ports, err);
	if (r == 0)
		r = parse_ports("destination_ports", message->destination_ports,
		                &out->has_destination_ports, &out->destination_ports, err);
	out->has_uids = message->uids != NULL;
	if (message->uids)
		out->uids =
			(struct fib_rule_uid_range){ message->uids->first, message->uids->last };
	return r;
}

int network_rule_parse(const Types__Rule *message, struct net_rule *out, struct error *err)
{
	struct net_rule rule = {
		.invert = message->invert,
		.table = message->table,
		.priority = message->priority,
		.mark = message->mark,
		.mark_mask = message->mark_mask,
		.goto_priority = message->goto_priority,
		.suppress_prefix = (int32_t)(message->suppress_prefix_plus_1 - 1),
		.suppress_group = (int32_t)(message->suppress_group_plus_1 - 1),
	};
	int r;

	r = parse_family(message->family, &rule.family, err);
	if (r == 0)
		r = parse_byte("action", message->action, &rule.action, err);
	if (r == 0)
		r = parse_byte("protocol", message->protocol, &rule.protocol, err);
	if (r == 0)
		r = parse_matches(message, &rule, err);
	if (r == 0)
		*out = rule;
	return r;
}
