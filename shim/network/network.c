#include "shim/network/network.h"

#include <linux/if_addr.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/netlink/net_socket.h"
#include "common/netlink/net_state.h"
#include "shim/network/guest_network.h"
#include "shim/network/netns.h"
#include "shim/network/nic.h"
#include "shim/network/redirect.h"

#define ETHERNET_MAC_LEN 6

struct network {
	const struct netns *netns;
	struct net_socket *socket;
	struct nic *cards[NETWORK_CARDS_MAX];
	size_t n_cards;
};

static bool has_address(const struct net_state *state, const struct net_link *link)
{
	for (size_t i = 0; i < state->n_addresses; i++)
		if (state->addresses[i].link == link->index)
			return true;
	return false;
}

static bool counts(const struct net_state *state, const struct net_link *link)
{
	return link->flags & IFF_UP && !(link->flags & IFF_LOOPBACK) && has_address(state, link);
}

static int check_link(const struct net_link *link, struct error *err)
{
	if (link->type == ARPHRD_ETHER && link->mac.len == ETHERNET_MAC_LEN)
		return 0;
	return error_set(err, ERROR_UNIMPLEMENTED,
	                 "link \"%s\" of kind \"%s\": not supported, since it is not an Ethernet",
	                 link->name, link->is_tun ? "tun" : link->kind);
}

/* Before anything is made of them. */
static int check_links(const struct net_state *state, struct error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < state->n_links; i++) {
		const struct net_link *link = &state->links[i];

		if (!counts(state, link))
			continue;
		if (check_link(link, err) < 0)
			return error_code_errno(err->code);
		n++;
	}
	if (n > NETWORK_CARDS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "%zu links with addresses: not supported; at most %d are", n,
		                 NETWORK_CARDS_MAX);
	return 0;
}

static int make_cards(struct network *network, const struct net_state *state, unsigned int queues,
                      struct error *err)
{
	int r = check_links(state, err);

	for (size_t i = 0; i < state->n_links && r == 0; i++) {
		const struct net_link *link = &state->links[i];

		if (!counts(state, link))
			continue;
		r = nic_create(network->netns, network->socket, link, queues,
		               &network->cards[network->n_cards], err);
		if (r == 0)
			log_info("network card id=%s link=%s kind=%s mtu=%u",
			         nic_id(network->cards[network->n_cards++]), link->name, link->kind,
			         link->mtu);
	}
	return r;
}

int network_connect(const struct netns *netns, unsigned int queues, struct network **out,
                    struct error *err)
{
	autodestroy(network) struct network *network = mem_new(struct network);
	struct net_state state = { 0 };
	int r;

	network->netns = netns;
	r = net_socket_open(netns_fd(netns), &network->socket, err);
	if (r == 0)
		r = redirect_sweep(network->socket, err);
	if (r == 0)
		r = net_state_read(network->socket, &state, err);
	if (r == 0)
		r = make_cards(network, &state, queues, err);
	net_state_fini(&state);
	if (r < 0)
		return r;
	*out = take_ptr(&network);
	return 0;
}

void network_destroy(struct network *network)
{
	if (!network)
		return;
	for (size_t i = 0; i < network->n_cards; i++)
		nic_destroy(network->cards[i]);
	net_socket_destroy(network->socket);
	free(network);
}

size_t network_cards(const struct network *network, struct nic *const **out)
{
	*out = network->cards;
	return network->n_cards;
}

int network_describe(struct network *network, bool details, struct guest_network **out,
                     struct error *err)
{
	const struct net_link *links[NETWORK_CARDS_MAX];
	struct net_state state = { 0 };
	int r = net_state_read(network->socket, &state, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < network->n_cards; i++)
		links[i] = nic_link(network->cards[i]);
	*out = guest_network_create(&state, links, network->n_cards, details);
	net_state_fini(&state);
	return 0;
}
