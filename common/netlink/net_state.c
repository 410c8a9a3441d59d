#include "common/netlink/net_state.h"

#include <stdlib.h>

#include "common/netlink/net_socket.h"

static int read_all(struct net_socket *socket, struct net_state *state, struct error *err)
{
	int r = net_link_list(socket, &state->links, &state->n_links, err);

	if (r == 0)
		r = net_address_list(socket, &state->addresses, &state->n_addresses, err);
	if (r == 0)
		r = net_route_list(socket, &state->routes, &state->n_routes, err);
	if (r == 0)
		r = net_neighbour_list(socket, &state->neighbours, &state->n_neighbours, err);
	if (r == 0)
		r = net_rule_list(socket, &state->rules, &state->n_rules, err);
	return r;
}

int net_state_read(struct net_socket *socket, struct net_state *out, struct error *err)
{
	struct net_state state = { 0 };
	int r = read_all(socket, &state, err);

	if (r < 0)
		net_state_fini(&state);
	else
		*out = state;
	return r;
}

void net_state_fini(struct net_state *state)
{
	free(state->links);
	free(state->addresses);
	free(state->routes);
	free(state->neighbours);
	free(state->rules);
	*state = (struct net_state){ 0 };
}
