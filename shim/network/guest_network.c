#include "shim/network/guest_network.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/netlink/net_state.h"
#include "proto/network/network_message.h"
#include "shim/network/link_settings.h"

/* What is made, and of what. */
struct making {
	const struct net_state *state;
	const struct net_link *const *cards;
	size_t n_cards;
	struct network_links links;
	bool details;
	struct guest_network *network;
};

/* @list of pointers with @item at its end. */
static void *append(void *list, size_t *n, void *item)
{
	void **longer = mem_realloc(list, (*n + 1) * sizeof(*longer));

	longer[(*n)++] = item;
	return longer;
}

static bool is_of_card(const struct making *making, int link)
{
	for (size_t i = 0; i < making->n_cards; i++)
		if (making->cards[i]->index == link)
			return true;
	return false;
}

/* Whether the guest's kernel would make another address, or other routes, of upstream's fields. */
static bool address_needs_details(const struct net_address *address)
{
	return net_ip_is_set(&address->peer) || address->flags & IFA_F_NOPREFIXROUTE;
}

static void add_addresses(const struct making *making, Types__Interface *interface, int link)
{
	const struct net_state *state = making->state;

	for (size_t i = 0; i < state->n_addresses; i++) {
		const struct net_address *address = &state->addresses[i];
		bool details = making->details || address_needs_details(address);

		if (address->link != link || address->flags & IFA_F_DADFAILED)
			continue;
		interface->ipaddresses = append(interface->ipaddresses, &interface->n_ipaddresses,
		                                network_address_message(address, details));
	}
}

static Types__Interface *make_interface(const struct making *making, const struct net_link *card)
{
	const struct net_link *now =
		net_link_by_index(making->links.all, making->links.n, card->index);
	Types__Interface *interface = network_link_message(now ? now : card);

	add_addresses(making, interface, card->index);
	return interface;
}

/* A packet on such a route goes nowhere, in any namespace. */
static bool leads_nowhere(const struct net_route *route)
{
	return route->type == RTN_BLACKHOLE || route->type == RTN_UNREACHABLE ||
	       route->type == RTN_PROHIBIT || route->type == RTN_THROW;
}

/* It comes with an address, in the guest too. CNI's plugin sbr copies such routes to other tables. */
static bool is_kernels_own(const struct net_route *route)
{
	return route->table == RT_TABLE_LOCAL ||
	       (route->protocol == RTPROT_KERNEL && route->table == RT_TABLE_MAIN);
}

static bool is_told(const struct making *making, const struct net_route *route)
{
	char text[NET_ROUTE_TEXT_MAX];
	size_t ours = 0;

	if (is_kernels_own(route))
		return false;
	if (leads_nowhere(route))
		return true;
	for (size_t i = 0; i < route->n_hops; i++)
		ours += is_of_card(making, route->hops[i].link);
	if (!ours)
		return false;
	if (ours == route->n_hops && !route->has_encap)
		return true;
	log_warn("a route is left out route=\"%s\"", net_route_text(route, text));
	return false;
}

/* 0: it is reached without another route. */
static int route_rank(const struct net_route *route)
{
	int rank = 0;

	for (size_t i = 0; i < route->n_hops; i++)
		if (net_ip_is_set(&route->hops[i].gateway))
			rank = route->hops[i].flags & RTNH_F_ONLINK && rank < 2 ? 1 : 2;
	return rank;
}

static void add_route(const struct making *making, const struct net_route *route)
{
	bool details = making->details || !network_route_is_plain(route);
	Grpc__Routes *routes = &making->network->routes;
	struct net_route one = *route;

	if (leads_nowhere(route))
		one.n_hops = 0; /* IPv6 names lo */
	routes->routes = append(routes->routes, &routes->n_routes,
	                        network_route_message(&one, &making->links, details));
}

static void add_routes(const struct making *making)
{
	const struct net_state *state = making->state;

	for (int rank = 0; rank <= 2; rank++)
		for (size_t i = 0; i < state->n_routes; i++)
			if (route_rank(&state->routes[i]) == rank &&
			    is_told(making, &state->routes[i]))
				add_route(making, &state->routes[i]);
}

static void add_rules(const struct making *making)
{
	struct guest_network *network = making->network;

	for (size_t i = 0; i < making->state->n_rules; i++) {
		const struct net_rule *rule = &making->state->rules[i];

		if (net_rule_is_default(rule))
			continue;
		if (rule->has_others)
			log_warn("a rule of a tunnel or a VRF is left out priority=%u",
			         rule->priority);
		else
			network->rules = append(network->rules, &network->n_rules,
			                        network_rule_message(rule));
	}
}

static void add_neighbours(const struct making *making)
{
	Grpc__ARPNeighbors *all = &making->network->neighbours;

	for (size_t i = 0; i < making->state->n_neighbours; i++) {
		const struct net_neighbour *neighbour = &making->state->neighbours[i];

		if (is_of_card(making, neighbour->link) && neighbour->state & NUD_PERMANENT &&
		    neighbour->mac.len)
			all->arpneighbors =
				append(all->arpneighbors, &all->n_arpneighbors,
			               network_neighbour_message(neighbour, &making->links));
	}
}

struct guest_network *guest_network_create(const struct net_state *state,
                                           const struct net_link *const *cards, size_t n_cards,
                                           bool details)
{
	struct guest_network *network = mem_new(struct guest_network);
	const struct making making = {
		.state = state,
		.cards = cards,
		.n_cards = n_cards,
		.links = { .all = state->links, .n = state->n_links },
		.details = details,
		.network = network,
	};
	Grpc__Interfaces *interfaces = &network->interfaces;

	network->details = details;
	grpc__interfaces__init(interfaces);
	grpc__routes__init(&network->routes);
	grpc__arpneighbors__init(&network->neighbours);
	for (size_t i = 0; i < n_cards; i++)
		interfaces->interfaces = append(interfaces->interfaces, &interfaces->n_interfaces,
		                                make_interface(&making, cards[i]));
	add_routes(&making);
	add_rules(&making);
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
	for (size_t i = 0; i < network->n_rules; i++)
		types__rule__free_unpacked(network->rules[i], NULL);
	for (size_t i = 0; i < network->neighbours.n_arpneighbors; i++)
		types__arpneighbor__free_unpacked(network->neighbours.arpneighbors[i], NULL);
	free(network->interfaces.interfaces);
	free(network->routes.routes);
	free(network->rules);
	free(network->neighbours.arpneighbors);
	free(network);
}

void guest_network_set_settings(struct guest_network *network, size_t interface,
                                const struct link_settings *settings)
{
	Types__Interface *message = network->interfaces.interfaces[interface];

	for (size_t i = 0; i < settings->n; i++) {
		Types__LinkSetting *setting = mem_new(Types__LinkSetting);

		types__link_setting__init(setting);
		setting->name = mem_strdup(settings->all[i].name);
		setting->value = mem_strdup(settings->all[i].value);
		message->settings = append(message->settings, &message->n_settings, setting);
	}
}

void guest_network_set_path(struct guest_network *network, size_t interface, const char *path)
{
	Types__Interface *message = network->interfaces.interfaces[interface];

	if (message->devicepath != protobuf_c_empty_string)
		free(message->devicepath);
	message->devicepath = mem_strdup(path);
}
