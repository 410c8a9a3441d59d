#include "proto/network/network_message.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <string.h>
#include <sys/socket.h>

#include "common/mem.h"
#include "common/netlink/net_state.h"
#include "proto/network/network_default.h"

static Types__IPFamily family_of(uint8_t family)
{
	return family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
}

static char *ip_text(const struct net_ip *ip)
{
	char text[NET_IP_TEXT_MAX];

	return mem_strdup(net_ip_text(ip, text));
}

static char *mac_text(const struct net_mac *mac)
{
	char text[NET_MAC_TEXT_MAX];

	return mem_strdup(net_mac_text(mac, text));
}

/* Of length 0 it is "". */
static char *prefix_text(const struct net_prefix *prefix)
{
	char text[NET_PREFIX_TEXT_MAX] = "";

	return mem_strdup(prefix->len ? net_prefix_text(prefix, text) : "");
}

static char *link_name(const struct network_links *links, int index)
{
	const struct net_link *link = net_link_by_index(links->all, links->n, index);

	return mem_strdup(link ? link->name : "");
}

Types__Interface *network_link_message(const struct net_link *link)
{
	Types__Interface *message = mem_new(Types__Interface);

	types__interface__init(message);
	message->device = mem_strdup(link->name);
	message->name = mem_strdup(link->name);
	message->mtu = link->mtu;
	message->hwaddr = mac_text(&link->mac);
	message->type = mem_strdup(link->kind);
	message->raw_flags = link->flags;
	return message;
}

static uint32_t kept_flags(const struct net_address *address)
{
	return address->flags & NETWORK_ADDRESS_FLAGS;
}

/* The kernel gives IPv6 addresses their scope itself, and a label to each of IPv4. */
bool network_address_is_plain(const struct net_address *address)
{
	struct net_ip broadcast = network_default_broadcast(&address->own);

	return !net_ip_is_set(&address->peer) && net_ip_equal(&address->broadcast, &broadcast) &&
	       (address->own.ip.family == AF_INET6 || address->scope == RT_SCOPE_UNIVERSE) &&
	       !kept_flags(address) && !address->metric && !strchr(address->label, ':');
}

Types__IPAddress *network_address_message(const struct net_address *address, bool details)
{
	Types__IPAddress *message = mem_new(Types__IPAddress);

	types__ipaddress__init(message);
	message->family = family_of(address->own.ip.family);
	message->address = ip_text(&address->own.ip);
	message->mask = mem_printf("%u", address->own.len);
	if (!details)
		return message;
	message->details = mem_new(Types__AddressDetails);
	types__address_details__init(message->details);
	message->details->peer = ip_text(&address->peer);
	message->details->broadcast = ip_text(&address->broadcast);
	message->details->scope = address->scope;
	message->details->flags = kept_flags(address);
	message->details->metric = address->metric;
	message->details->label = mem_strdup(address->label);
	return message;
}

static bool has_plain_metrics(const struct net_route *route)
{
	for (int i = 1; i < NET_METRICS; i++)
		if (route->metrics[i] && i != RTAX_MTU)
			return false;
	return !*route->congestion;
}

static bool has_plain_hop(const struct net_route *route)
{
	const struct net_ip *gateway = &route->hops[0].gateway;

	return route->n_hops == 1 && (!net_ip_is_set(gateway) || gateway->family == route->family);
}

bool network_route_is_plain(const struct net_route *route)
{
	uint32_t metric = route->family == AF_INET6 ? NETWORK_METRIC_IPV6 : 0;

	return route->type == RTN_UNICAST && route->table == RT_TABLE_MAIN && !route->tos &&
	       !route->preference && (route->metric == metric || !route->metric) &&
	       !(route->source.len && net_ip_is_set(&route->preferred_source)) &&
	       has_plain_metrics(route) && has_plain_hop(route);
}

static Types__NextHop *hop_message(const struct net_nexthop *hop, const struct network_links *links)
{
	Types__NextHop *message = mem_new(Types__NextHop);

	types__next_hop__init(message);
	message->gateway = ip_text(&hop->gateway);
	message->device = link_name(links, hop->link);
	message->flags = hop->flags;
	message->weight = hop->weight;
	return message;
}

static Types__RouteDetails *details_message(const struct net_route *route,
                                            const struct network_links *links)
{
	Types__RouteDetails *message = mem_new(Types__RouteDetails);

	types__route_details__init(message);
	message->preferred_source = ip_text(&route->preferred_source);
	message->metric = route->metric;
	message->table = route->table;
	message->type = route->type;
	message->protocol = route->protocol;
	message->tos = route->tos;
	message->preference = route->preference;
	message->metrics = mem_dup(route->metrics, sizeof(route->metrics));
	message->n_metrics = NET_METRICS;
	message->congestion = mem_strdup(route->congestion);
	message->hops = mem_alloc((route->n_hops + 1) * sizeof(void *));
	while (message->n_hops < route->n_hops) {
		message->hops[message->n_hops] = hop_message(&route->hops[message->n_hops], links);
		message->n_hops++;
	}
	return message;
}

Types__Route *network_route_message(const struct net_route *route,
                                    const struct network_links *links, bool details)
{
	Types__Route *message = mem_new(Types__Route);

	types__route__init(message);
	message->family = family_of(route->family);
	message->dest = prefix_text(&route->destination);
	message->source =
		route->source.len ? prefix_text(&route->source) : ip_text(&route->preferred_source);
	message->scope = route->scope;
	message->mtu = route->metrics[RTAX_MTU];
	if (route->n_hops) {
		message->gateway = ip_text(&route->hops[0].gateway);
		message->device = link_name(links, route->hops[0].link);
		message->flags = route->hops[0].flags;
	}
	if (details)
		message->details = details_message(route, links);
	return message;
}

Types__ARPNeighbor *network_neighbour_message(const struct net_neighbour *neighbour,
                                              const struct network_links *links)
{
	Types__ARPNeighbor *message = mem_new(Types__ARPNeighbor);

	types__arpneighbor__init(message);
	message->toipaddress = mem_new(Types__IPAddress);
	types__ipaddress__init(message->toipaddress);
	message->toipaddress->family = family_of(neighbour->ip.family);
	message->toipaddress->address = ip_text(&neighbour->ip);
	message->device = link_name(links, neighbour->link);
	message->lladdr = mac_text(&neighbour->mac);
	message->state = neighbour->state;
	message->flags = neighbour->flags;
	return message;
}

static Types__Range *range_message(bool is_set, uint32_t first, uint32_t last)
{
	Types__Range *message;

	if (!is_set)
		return NULL;
	message = mem_new(Types__Range);
	types__range__init(message);
	message->first = first;
	message->last = last;
	return message;
}

Types__Rule *network_rule_message(const struct net_rule *rule)
{
	Types__Rule *message = mem_new(Types__Rule);

	types__rule__init(message);
	message->family = family_of(rule->family);
	message->source = prefix_text(&rule->source);
	message->destination = prefix_text(&rule->destination);
	message->tos = rule->tos;
	message->action = rule->action;
	message->invert = rule->invert;
	message->table = rule->table;
	message->priority = rule->priority;
	message->mark = rule->mark;
	message->mark_mask = rule->mark_mask;
	message->goto_priority = rule->goto_priority;
	message->in = mem_strdup(rule->in);
	message->out = mem_strdup(rule->out);
	message->ip_protocol = rule->ip_protocol;
	message->protocol = rule->protocol;
	message->uids = range_message(rule->has_uids, rule->uids.start, rule->uids.end);
	message->source_ports = range_message(rule->has_source_ports, rule->source_ports.start,
	                                      rule->source_ports.end);
	message->destination_ports =
		range_message(rule->has_destination_ports, rule->destination_ports.start,
	                      rule->destination_ports.end);
	message->suppress_prefix_plus_1 = (uint32_t)rule->suppress_prefix + 1;
	message->suppress_group_plus_1 = (uint32_t)rule->suppress_group + 1;
	return message;
}
