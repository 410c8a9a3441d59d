#include "agent/guest/network.h"

#include <errno.h>
#include <ev.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/guest/modprobe.h"
#include "agent/guest/network_link.h"
#include "agent/guest/network_routes.h"
#include "agent/guest/uevent.h"
#include "common/mem.h"
#include "common/netlink/net_socket.h"
#include "common/netlink/net_state.h"
#include "proto/limits.h"
#include "proto/network/network_parse.h"

#define CARD_ALIAS "virtio:d00000001v00001AF4" /* a network card (linux/virtio_ids.h) */

/* An UpdateInterface that waits for its link. */
struct waiting {
	LIST_ENTRY(waiting) link;
	struct network *network;
	const Types__Interface *message;
	struct network_link wanted;
	struct uevent_subscriber changes;
	ev_timer deadline;
	done_fn *done;
	void *ctx;
};

struct network {
	struct ev_loop *loop;
	struct uevents *uevents;
	int card_timeout_ms;
	struct net_socket *socket; /* NULL: not open yet */
	LIST_HEAD(, waiting) waiting;
	struct network_routes *routes;    /* that were set */
	struct net_neighbour *neighbours; /* the same */
	size_t n_neighbours;
};

struct network *network_create(struct ev_loop *loop, struct uevents *uevents, int card_timeout_ms)
{
	struct network *network = mem_new(struct network);

	network->loop = loop;
	network->uevents = uevents;
	network->card_timeout_ms = card_timeout_ms;
	LIST_INIT(&network->waiting);
	network->routes = network_routes_create();
	return network;
}

/* A pod without a network needs none. */
static int open_socket(struct network *network, struct error *err)
{
	return network->socket ? 0 : net_socket_open(NET_SOCKET_HERE, &network->socket, err);
}

static int wrap(const Types__Interface *message, struct error *err)
{
	return error_wrap(err, "interface \"%s\"", message->name);
}

/* Its last act is the callback. */
static void finish(struct waiting *waiting, const struct error *err)
{
	done_fn *done = waiting->done;
	void *ctx = waiting->ctx;

	LIST_REMOVE(waiting, link);
	uevents_leave(&waiting->changes);
	ev_timer_stop(waiting->network->loop, &waiting->deadline);
	network_link_fini(&waiting->wanted);
	free(waiting);
	done(ctx, err);
}

void network_destroy(struct network *network)
{
	struct waiting *waiting;
	struct error why;

	if (!network)
		return;
	error_set(&why, ERROR_ABORTED, "the sandbox was destroyed");
	while ((waiting = LIST_FIRST(&network->waiting)))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() moves the head */
		finish(waiting, &why);
	network_routes_destroy(network->routes);
	free(network->neighbours);
	net_socket_destroy(network->socket);
	free(network);
}

/* Only links and addresses. */
static int read_links(struct network *network, struct net_state *state, struct error *err)
{
	int r = open_socket(network, err);

	if (r == 0)
		r = net_link_list(network->socket, &state->links, &state->n_links, err);
	if (r == 0)
		r = net_address_list(network->socket, &state->addresses, &state->n_addresses, err);
	return r;
}

typedef int find_fn(const struct network_link *wanted, const struct net_state *state,
                    const struct net_link **out, struct error *err);

/* -ENOENT: the link is not there. */
static int update(struct network *network, const struct network_link *wanted, find_fn *find,
                  struct error *err)
{
	struct net_state state = { 0 };
	const struct net_link *link;
	int r;

	r = read_links(network, &state, err);
	if (r == 0)
		r = find(wanted, &state, &link, err);
	if (r == 0) {
		r = network_link_apply(network->socket, wanted, &state, link, err);
		if (r == -ENOENT)
			r = -EINVAL; /* not the link */
	}
	net_state_fini(&state);
	return r;
}

static void try_again(void *ctx)
{
	struct waiting *waiting = ctx;
	struct error err;
	int r = update(waiting->network, &waiting->wanted, network_link_find, &err);

	if (r == -ENOENT)
		return;
	if (r < 0)
		wrap(waiting->message, &err);
	finish(waiting, r < 0 ? &err : NULL);
}

/* A card whose MAC address the host could not know is found by its name, last of all. */
static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct waiting *waiting = watcher->data;
	struct error err;
	struct error by_name;
	int r = update(waiting->network, &waiting->wanted, network_link_find, &err);

	if (r == -ENOENT && !*waiting->wanted.device_path) {
		r = update(waiting->network, &waiting->wanted, network_link_find_by_name, &by_name);
		if (r != -ENOENT)
			err = by_name;
	}
	if (r == -ENOENT) {
		err.code = ERROR_DEADLINE_EXCEEDED;
		error_wrap(&err, "not within %d ms", waiting->network->card_timeout_ms);
	}
	if (r < 0)
		wrap(waiting->message, &err);
	finish(waiting, r < 0 ? &err : NULL);
}

/* Takes @wanted over. */
static void wait_for_link(struct network *network, const Types__Interface *message,
                          const struct network_link *wanted, done_fn *done, void *ctx)
{
	struct waiting *waiting = mem_new(struct waiting);

	waiting->network = network;
	waiting->message = message;
	waiting->wanted = *wanted;
	waiting->done = done;
	waiting->ctx = ctx;
	waiting->changes.on_change = try_again;
	waiting->changes.ctx = waiting;
	uevents_subscribe(network->uevents, &waiting->changes);
	ev_timer_init(&waiting->deadline, on_deadline, network->card_timeout_ms / 1e3, 0);
	waiting->deadline.data = waiting;
	ev_timer_start(network->loop, &waiting->deadline);
	LIST_INSERT_HEAD(&network->waiting, waiting, link);
}

int network_update_interface(struct network *network, const Types__Interface *message,
                             done_fn *done, void *ctx, struct error *err)
{
	struct network_link wanted;
	int r;

	r = network_link_parse(message, &wanted, err);
	if (r < 0)
		return wrap(message, err);
	r = update(network, &wanted, network_link_find, err);
	if (r == -ENOENT && modprobe_load(CARD_ALIAS)) /* the first card of this guest */
		r = update(network, &wanted, network_link_find, err);
	if (r == -ENOENT && (*wanted.device_path || wanted.mac.len)) {
		wait_for_link(network, message, &wanted, done, ctx);
		return 0;
	}
	network_link_fini(&wanted);
	if (r < 0)
		return wrap(message, err);
	done(ctx, NULL);
	return 0;
}

int network_update_routes(struct network *network, const Grpc__UpdateRoutesRequest *message,
                          struct error *err)
{
	int r = open_socket(network, err);

	return r < 0 ? r : network_routes_update(network->routes, network->socket, message, err);
}

static int set_neighbours(struct network *network, const Grpc__ARPNeighbors *message,
                          struct net_neighbour *out, struct error *err)
{
	struct net_state state = { 0 };
	struct network_links links;
	int r = read_links(network, &state, err);

	links = (struct network_links){ state.links, state.n_links };
	for (size_t i = 0; i < message->n_arpneighbors && r == 0; i++) {
		const Types__ARPNeighbor *one = message->arpneighbors[i];

		r = network_neighbour_parse(one, &links, &out[i], err);
		if (r == 0)
			r = net_neighbour_add(network->socket, &out[i], err);
		if (r < 0)
			r = error_wrap(err, "neighbour \"%s\"",
			               one->toipaddress ? one->toipaddress->address : "");
	}
	net_state_fini(&state);
	return r;
}

/* They go with their link, and containers may have deleted them. */
static void delete_old_neighbours(struct network *network, const struct net_neighbour *now,
                                  size_t n)
{
	for (size_t i = 0; i < network->n_neighbours; i++) {
		const struct net_neighbour *old = &network->neighbours[i];
		bool stays = false;

		for (size_t j = 0; j < n && !stays; j++)
			stays = now[j].link == old->link && net_ip_equal(&now[j].ip, &old->ip);
		if (!stays)
			net_neighbour_delete(network->socket, old, NULL);
	}
}

int network_add_neighbours(struct network *network, const Grpc__AddARPNeighborsRequest *message,
                           struct error *err)
{
	size_t n = message->neighbors->n_arpneighbors;
	autofree struct net_neighbour *now = NULL;
	int r;

	if (n > LIMIT_NEIGHBOURS)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%zu neighbours: the limit is %d", n,
		                 LIMIT_NEIGHBOURS);
	now = mem_alloc((n + 1) * sizeof(*now));
	r = set_neighbours(network, message->neighbors, now, err);
	if (r < 0 || !message->exact)
		return r;
	delete_old_neighbours(network, now, n);
	free(network->neighbours);
	network->neighbours = take_ptr(&now);
	network->n_neighbours = n;
	return 0;
}

static void add_addresses(Types__Interface *message, const struct net_state *state, int index)
{
	size_t n = 0;

	for (size_t i = 0; i < state->n_addresses; i++)
		n += state->addresses[i].link == index;
	message->ipaddresses = mem_alloc((n + 1) * sizeof(void *));
	for (size_t i = 0; i < state->n_addresses; i++)
		if (state->addresses[i].link == index)
			message->ipaddresses[message->n_ipaddresses++] =
				network_address_message(&state->addresses[i], true);
}

int network_list_interfaces(struct network *network, Grpc__Interfaces **out, struct error *err)
{
	struct net_state state = { 0 };
	Grpc__Interfaces *message;
	int r = read_links(network, &state, err);

	if (r == 0) {
		message = mem_new(Grpc__Interfaces);
		grpc__interfaces__init(message);
		message->interfaces = mem_alloc((state.n_links + 1) * sizeof(void *));
		for (size_t i = 0; i < state.n_links; i++) {
			message->interfaces[i] = network_link_message(&state.links[i]);
			add_addresses(message->interfaces[i], &state, state.links[i].index);
		}
		message->n_interfaces = state.n_links;
		*out = message;
	}
	net_state_fini(&state);
	return r;
}

int network_list_routes(struct network *network, Grpc__Routes **out, struct error *err)
{
	int r = open_socket(network, err);

	return r < 0 ? r : network_routes_list(network->socket, out, err);
}
