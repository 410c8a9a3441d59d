#include "shim/network/network.h"

#include <stdbool.h>

#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/netlink/net_socket.h"
#include "common/netlink/net_state.h"
#include "proto/features.h"
#include "shim/network/guest_network.h"
#include "shim/network/link_settings.h"
#include "shim/network/netns.h"
#include "shim/network/nic.h"
#include "shim/network/redirect.h"
#include "shim/network/served_link.h"

struct network {
	const struct netns *netns;
	struct net_socket *socket;
	struct nic_config config; /* of each card */
	struct net_state state;   /* as it was read last */
	struct nic *cards[NETWORK_CARDS_MAX];
	struct link_settings settings[NETWORK_CARDS_MAX]; /* of the cards' links */
	size_t n_cards;
	size_t room;      /* for cards */
	int *passed_over; /* the indexes of links that can have no card */
	size_t n_passed_over;
};

/* Before anything is made of them. */
static int check_links(struct network *network, struct error *err)
{
	const struct net_state *state = &network->state;
	size_t n = 0;

	for (size_t i = 0; i < state->n_links; i++) {
		const struct net_link *link = &state->links[i];

		if (!served_link_counts(state, link))
			continue;
		if (served_link_check(state, link, err) < 0)
			return error_code_errno(err->code);
		n++;
	}
	if (n > NETWORK_CARDS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "%zu links with addresses: not supported; at most %d are", n,
		                 NETWORK_CARDS_MAX);
	network->room = n <= NETWORK_CARDS_USUAL ? NETWORK_CARDS_USUAL : NETWORK_CARDS_MAX;
	return 0;
}

/* The pod goes on without them. */
static void read_settings(struct network *network, size_t card, const struct net_link *link)
{
	struct error err;

	if (link_settings_read(&network->settings[card], network->netns, link->name, &err) < 0)
		log_warn("%s", err.text);
}

static int make_card(struct network *network, const struct net_link *link, struct error *err)
{
	struct nic **card = &network->cards[network->n_cards];
	int r = nic_create(network->netns, network->socket, link, &network->config, card, err);

	if (r < 0)
		return r;
	network->settings[network->n_cards] = (struct link_settings){ 0 };
	read_settings(network, network->n_cards++, link);
	log_info("network card id=%s link=%s kind=%s mtu=%u queues=%u vhost=%s", nic_id(*card),
	         link->name, link->kind, link->mtu, network->config.queues,
	         nic_has_vhost(*card) ? "yes" : "no");
	return 0;
}

static int make_cards(struct network *network, struct error *err)
{
	const struct net_state *state = &network->state;
	int r = 0;

	for (size_t i = 0; i < state->n_links && r == 0; i++)
		if (served_link_counts(state, &state->links[i]))
			r = make_card(network, &state->links[i], err);
	return r;
}

int network_connect(const struct netns *netns, const struct nic_config *config,
                    struct network **out, struct error *err)
{
	autodestroy(network) struct network *network = mem_new(struct network);
	int r;

	network->netns = netns;
	network->config = *config;
	r = net_socket_open(netns_fd(netns), &network->socket, err);
	if (r == 0)
		r = redirect_sweep(network->socket, NULL, err);
	if (r >= 0)
		r = network_refresh(network, err);
	if (r == 0)
		r = check_links(network, err);
	if (r == 0 && !config->comes_late)
		r = make_cards(network, err);
	if (r < 0)
		return r;
	*out = take_ptr(&network);
	return 0;
}

int network_sweep(const char *path, const char *pod, struct error *err)
{
	autodestroy(netns) struct netns *netns = NULL;
	autodestroy(net_socket) struct net_socket *socket = NULL;
	int r = netns_open(path, &netns, err);

	if (r == 0)
		r = net_socket_open(netns_fd(netns), &socket, err);
	return r < 0 ? r : redirect_sweep(socket, pod, err);
}

int network_watch(const struct network *network, int *out, struct error *err)
{
	return net_watch_open(netns_fd(network->netns), out, err);
}

static const struct net_link *find_link(const struct network *network, int index)
{
	return net_link_by_index(network->state.links, network->state.n_links, index);
}

/* A link that has gone may leave its index to another. */
static void forget_passed_over(struct network *network)
{
	size_t kept = 0;

	for (size_t i = 0; i < network->n_passed_over; i++)
		if (find_link(network, network->passed_over[i]))
			network->passed_over[kept++] = network->passed_over[i];
	network->n_passed_over = kept;
}

int network_refresh(struct network *network, struct error *err)
{
	struct net_state state = { 0 };
	int r = net_state_read(network->socket, &state, err);

	if (r < 0)
		return r;
	net_state_fini(&network->state);
	network->state = state;
	forget_passed_over(network);
	for (size_t i = 0; i < network->n_cards; i++) {
		const struct net_link *link =
			find_link(network, nic_link(network->cards[i])->index);

		if (link)
			read_settings(network, i, link);
	}
	return 0;
}

struct nic *network_find_gone(const struct network *network)
{
	for (size_t i = 0; i < network->n_cards; i++)
		if (!find_link(network, nic_link(network->cards[i])->index))
			return network->cards[i];
	return NULL;
}

static bool has_card(const struct network *network, int index)
{
	for (size_t i = 0; i < network->n_cards; i++)
		if (nic_link(network->cards[i])->index == index)
			return true;
	for (size_t i = 0; i < network->n_passed_over; i++)
		if (network->passed_over[i] == index)
			return true;
	return false;
}

static void pass_over(struct network *network, int index)
{
	network->passed_over =
		mem_realloc(network->passed_over, (network->n_passed_over + 1) * sizeof(int));
	network->passed_over[network->n_passed_over++] = index;
}

static int add_card(struct network *network, const struct net_link *link, struct error *err)
{
	int r = served_link_check(&network->state, link, err);

	if (r == 0 && network->n_cards == network->room)
		r = error_set(err, ERROR_RESOURCE_EXHAUSTED,
		              "link \"%s\": not supported, since the machine has %zu cards already",
		              link->name, network->room);
	if (r == 0)
		r = make_card(network, link, err);
	if (r < 0)
		pass_over(network, link->index);
	return r;
}

int network_add_next(struct network *network, struct nic **out, struct error *err)
{
	const struct net_state *state = &network->state;
	int r;

	*out = NULL;
	for (size_t i = 0; i < state->n_links; i++) {
		const struct net_link *link = &state->links[i];

		if (!served_link_counts(state, link) || has_card(network, link->index))
			continue;
		r = add_card(network, link, err);
		if (r == 0)
			*out = network->cards[network->n_cards - 1];
		return r;
	}
	return 0;
}

void network_remove(struct network *network, struct nic *nic)
{
	size_t i = 0;

	while (network->cards[i] != nic)
		i++;
	link_settings_fini(&network->settings[i]);
	network->n_cards--;
	for (; i < network->n_cards; i++) {
		network->cards[i] = network->cards[i + 1];
		network->settings[i] = network->settings[i + 1];
	}
	if (find_link(network, nic_link(nic)->index))
		pass_over(network, nic_link(nic)->index);
	else
		network->n_passed_over = 0; /* there is room again: they are tried once more */
	nic_destroy(nic);
}

void network_destroy(struct network *network)
{
	if (!network)
		return;
	for (size_t i = 0; i < network->n_cards; i++) {
		link_settings_fini(&network->settings[i]);
		nic_destroy(network->cards[i]);
	}
	net_socket_destroy(network->socket);
	net_state_fini(&network->state);
	free(network->passed_over);
	free(network);
}

size_t network_cards(const struct network *network, struct nic *const **out)
{
	*out = network->cards;
	return network->n_cards;
}

size_t network_room(const struct network *network)
{
	return network->room;
}

struct guest_network *network_describe(const struct network *network, unsigned int features)
{
	const struct net_link *links[NETWORK_CARDS_MAX];
	struct guest_network *guest;

	for (size_t i = 0; i < network->n_cards; i++)
		links[i] = nic_link(network->cards[i]);
	guest = guest_network_create(&network->state, links, network->n_cards,
	                             features & FEATURE_NETWORK_DETAILS);
	for (size_t i = 0; i < network->n_cards && features & FEATURE_LINK_SETTINGS; i++)
		guest_network_set_settings(guest, i, &network->settings[i]);
	return guest;
}
