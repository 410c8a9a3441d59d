#include "shim/network/guest_network.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/netlink/net_state.h"

#define PREFIX_LEN_TEXT_MAX 4

/* What is made, and of what. */
struct making {
	const struct net_state *state;
	const struct net_link *const *links;
	size_t n_links;
	struct guest_network *network;
};

/* @list of pointers with @item at its end. */
static void *append(void *list, size_t *n, void *item)
{
	void **longer = mem_realloc(list, (*n + 1) * sizeof(*longer));

	longer[(*n)++] = item;
	return longer;
}

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

/* The name of a card's link; NULL: it is none. */
static const char *link_name(const struct making *making, int index)
{
	for (size_t i = 0; i < making->n_links; i++)
		if (making->links[i]->index == index)
			return making->links[i]->name;
	return NULL;
}

static Types__IPAddress *make_ip(const struct net_ip *ip)
{
	Types__IPAddress *message = mem_new(Types__IPAddress);

	types__ipaddress__init(message);
	message->family = family_of(ip->family);
	message->address = ip_text(ip);
	return message;
}

static void add_addresses(Types__Interface *interface, const struct net_state *state, int link)
{
	for (size_t i = 0; i < state->n_addresses; i++) {
		const struct net_address *address = &state->addresses[i];
		Types__IPAddress *message;

		if (address->link != link || address->flags & IFA_F_DADFAILED)
			continue;
		message = make_ip(&address->own.ip);
		message->mask = mem_printf("%u", address->own.len);
		interface->ipaddresses =
			append(interface->ipaddresses, &interface->n_ipaddresses, message);
	}
}

static Types__Interface *make_interface(const struct making *making, const struct net_link *known)
{
	const struct net_state *state = making->state;
	const struct net_link *link = net_link_by_index(state->links, state->n_links, known->index);
	Types__Interface *interface = mem_new(Types__Interface);

	if (!link)
		link = known;
	types__interface__init(interface);
	interface->device = mem_strdup(known->name);
	interface->name = mem_strdup(known->name);
	interface->mtu = link->mtu;
	interface->hwaddr = mac_text(&known->mac); /* the card's */
	interface->raw_flags = link->flags & IFF_NOARP;
	add_addresses(interface, state, known->index);
	return interface;
}

/* What upstream's messages can say; the rest is for the guest's kernel to make, or is left out. */
static bool is_told(const struct net_route *route, const char *name)
{
	char text[NET_ROUTE_TEXT_MAX];

	if (!name || route->protocol == RTPROT_KERNEL || route->table == RT_TABLE_LOCAL)
		return false;
	if (route->type == RTN_UNICAST && route->table == RT_TABLE_MAIN && route->n_hops == 1 &&
	    !route->has_encap)
		return true;
	log_warn("a route is left out route=\"%s\" link=%s", net_route_text(route, text), name);
	return false;
}

static Types__Route *make_route(const struct net_route *route, const char *name)
{
	const struct net_nexthop *hop = &route->hops[0];
	Types__Route *message = mem_new(Types__Route);
	char text[NET_PREFIX_TEXT_MAX];

	types__route__init(message);
	message->family = family_of(route->family);
	message->device = mem_strdup(name);
	if (route->destination.len)
		message->dest = mem_strdup(net_prefix_text(&route->destination, text));
	if (net_ip_is_set(&hop->gateway))
		message->gateway = ip_text(&hop->gateway);
	if (net_ip_is_set(&route->preferred_source))
		message->source = ip_text(&route->preferred_source);
	message->scope = route->scope;
	message->flags = hop->flags & RTNH_F_ONLINK;
	message->mtu = route->metrics[RTAX_MTU];
	return message;
}

/* 0: reached without another route. */
static int route_rank(const struct net_route *route)
{
	if (!net_ip_is_set(&route->hops[0].gateway))
		return 0;
	return route->hops[0].flags & RTNH_F_ONLINK ? 1 : 2;
}

static void add_routes(struct making *making)
{
	Grpc__Routes *routes = &making->network->routes;

	for (int rank = 0; rank <= 2; rank++) {
		for (size_t i = 0; i < making->state->n_routes; i++) {
			const struct net_route *route = &making->state->routes[i];
			const char *name =
				route->n_hops ? link_name(making, route->hops[0].link) : NULL;

			if (route->n_hops && route_rank(route) == rank && is_told(route, name))
				routes->routes = append(routes->routes, &routes->n_routes,
				                        make_route(route, name));
		}
	}
}

static void add_neighbours(struct making *making)
{
	Grpc__ARPNeighbors *all = &making->network->neighbours;

	for (size_t i = 0; i < making->state->n_neighbours; i++) {
		const struct net_neighbour *neighbour = &making->state->neighbours[i];
		const char *name = link_name(making, neighbour->link);
		Types__ARPNeighbor *message;

		if (!name || !(neighbour->state & NUD_PERMANENT) || !neighbour->mac.len)
			continue;
		message = mem_new(Types__ARPNeighbor);
		types__arpneighbor__init(message);
		message->toipaddress = make_ip(&neighbour->ip);
		message->device = mem_strdup(name);
		message->lladdr = mac_text(&neighbour->mac);
		message->state = neighbour->state;
		message->flags = neighbour->flags;
		all->arpneighbors = append(all->arpneighbors, &all->n_arpneighbors, message);
	}
}

struct guest_network *guest_network_create(const struct net_state *state,
                                           const struct net_link *const *links, size_t n_links)
{
	struct guest_network *network = mem_new(struct guest_network);
	struct making making = {
		.state = state, .links = links, .n_links = n_links, .network = network
	};
	Grpc__Interfaces *interfaces = &network->interfaces;

	grpc__interfaces__init(interfaces);
	grpc__routes__init(&network->routes);
	grpc__arpneighbors__init(&network->neighbours);
	for (size_t i = 0; i < n_links; i++)
		interfaces->interfaces = append(interfaces->interfaces, &interfaces->n_interfaces,
		                                make_interface(&making, links[i]));
	add_routes(&making);
	add_neighbours(&making);
	return network;
}

/* What the messages point to; the messages themselves are embedded. */
void guest_network_destroy(struct guest_network *network)
{
	if (!network)
		return;
	for (size_t i = 0; i < network->interfaces.n_interfaces; i++)
		types__interface__free_unpacked(network->interfaces.interfaces[i], NULL);
	for (size_t i = 0; i < network->routes.n_routes; i++)
		types__route__free_unpacked(network->routes.routes[i], NULL);
	for (size_t i = 0; i < network->neighbours.n_arpneighbors; i++)
		types__arpneighbor__free_unpacked(network->neighbours.arpneighbors[i], NULL);
	free(network->interfaces.interfaces);
	free(network->routes.routes);
	free(network->neighbours.arpneighbors);
	free(network);
}

void guest_network_set_path(struct guest_network *network, size_t interface, const char *path)
{
	Types__Interface *message = network->interfaces.interfaces[interface];

	if (message->devicepath != protobuf_c_empty_string)
		free(message->devicepath);
	message->devicepath = mem_strdup(path);
}
