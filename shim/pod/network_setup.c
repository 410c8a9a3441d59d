#include "shim/pod/network_setup.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "proto/message.h"
#include "shim/network/guest_network.h"
#include "shim/pod/agent_client.h"

enum stage {
	SETUP_INTERFACES,
	SETUP_ROUTES,
	SETUP_NEIGHBOURS,
	SETUP_DONE,
};

struct network_setup {
	struct agent *agent;
	const struct guest_network *guest;
	const struct guest_network *before;
	enum stage stage;
	size_t interface; /* the next */
	bool has_told;    /* of an interface: its routes may have gone */
	struct agent_call *pending;
	done_fn *done;
	void *ctx;
};

static bool is_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	ProtobufCBinaryData one = message_encode(a), other = message_encode(b);
	bool same = one.len == other.len && !memcmp(one.data, other.data, one.len);

	free(one.data);
	free(other.data);
	return same;
}

static bool knows_interface(const struct network_setup *setup, const Types__Interface *interface)
{
	const Grpc__Interfaces *before = setup->before ? &setup->before->interfaces : NULL;

	for (size_t i = 0; before && i < before->n_interfaces; i++)
		if (is_same(&before->interfaces[i]->base, &interface->base))
			return true;
	return false;
}

/* Routes that are no more are to go, if the agent knows how. */
static Grpc__UpdateRoutesRequest routes_request(const struct guest_network *guest)
{
	Grpc__UpdateRoutesRequest request = GRPC__UPDATE_ROUTES_REQUEST__INIT;

	request.routes = (Grpc__Routes *)&guest->routes;
	request.rules = guest->rules;
	request.n_rules = guest->n_rules;
	request.exact = guest->details;
	return request;
}

static bool knows_routes(const struct network_setup *setup)
{
	Grpc__UpdateRoutesRequest now = routes_request(setup->guest), before;

	if (!setup->before) /* it may have what it was told once */
		return !setup->guest->interfaces.n_interfaces && !now.routes->n_routes &&
		       !now.n_rules;
	before = routes_request(setup->before);
	return !setup->has_told && is_same(&now.base, &before.base);
}

static bool knows_neighbours(const struct network_setup *setup)
{
	const Grpc__ARPNeighbors *now = &setup->guest->neighbours;

	if (!setup->before)
		return !now->n_arpneighbors;
	return is_same(&now->base, &setup->before->neighbours.base) &&
	       (!setup->has_told || !now->n_arpneighbors);
}

static void on_told(void *ctx, const struct error *err);

static int tell_interface(struct network_setup *setup, Types__Interface *interface,
                          struct error *err)
{
	Grpc__UpdateInterfaceRequest request = GRPC__UPDATE_INTERFACE_REQUEST__INIT;

	setup->has_told = true;
	request.interface = interface;
	if (agent_update_interface(setup->agent, &request, on_told, setup, &setup->pending, err) <
	    0)
		return error_wrap(err, "interface \"%s\"", interface->name);
	return 1;
}

static int tell_interfaces(struct network_setup *setup, struct error *err)
{
	const Grpc__Interfaces *all = &setup->guest->interfaces;

	while (setup->interface < all->n_interfaces) {
		Types__Interface *interface = all->interfaces[setup->interface++];

		if (!knows_interface(setup, interface))
			return tell_interface(setup, interface, err);
	}
	setup->stage = SETUP_ROUTES;
	return 0;
}

static int tell_routes(struct network_setup *setup, struct error *err)
{
	const Grpc__UpdateRoutesRequest request = routes_request(setup->guest);
	int r;

	setup->stage = SETUP_NEIGHBOURS;
	if (knows_routes(setup))
		return 0;
	r = agent_update_routes(setup->agent, &request, on_told, setup, &setup->pending, err);
	return r < 0 ? r : 1;
}

static int tell_neighbours(struct network_setup *setup, struct error *err)
{
	Grpc__AddARPNeighborsRequest request = GRPC__ADD_ARPNEIGHBORS_REQUEST__INIT;
	int r;

	setup->stage = SETUP_DONE;
	if (knows_neighbours(setup))
		return 0;
	request.neighbors = (Grpc__ARPNeighbors *)&setup->guest->neighbours;
	request.exact = setup->guest->details;
	r = agent_add_neighbours(setup->agent, &request, on_told, setup, &setup->pending, err);
	return r < 0 ? r : 1;
}

/* 1: a call is under way; 0: there is nothing left to be told; or -errno. */
static int tell_next(struct network_setup *setup, struct error *err)
{
	static int (*const stages[])(struct network_setup *, struct error *) = {
		[SETUP_INTERFACES] = tell_interfaces,
		[SETUP_ROUTES] = tell_routes,
		[SETUP_NEIGHBOURS] = tell_neighbours,
	};
	int r = 0;

	while (r == 0 && setup->stage != SETUP_DONE)
		r = stages[setup->stage](setup, err);
	return r;
}

/* Its last act is the callback, which may free the setup. */
static void on_told(void *ctx, const struct error *err)
{
	struct network_setup *setup = ctx;
	struct error cause;
	int r = 0;

	setup->pending = NULL;
	error_copy(&cause, err);
	if (!err)
		r = tell_next(setup, &cause);
	if (r > 0)
		return;
	if (err || r < 0)
		error_wrap(&cause, "cannot set up the guest's network");
	setup->done(setup->ctx, err || r < 0 ? &cause : NULL);
}

int network_setup_start(struct agent *agent, const struct guest_network *guest,
                        const struct guest_network *before, done_fn *done, void *ctx,
                        struct network_setup **out, struct error *err)
{
	struct network_setup *setup = mem_new(struct network_setup);
	int r;

	setup->agent = agent;
	setup->guest = guest;
	setup->before = before;
	setup->done = done;
	setup->ctx = ctx;
	r = tell_next(setup, err);
	*out = r > 0 ? setup : NULL;
	if (r <= 0)
		network_setup_destroy(setup);
	return r < 0 ? error_wrap(err, "cannot set up the guest's network") : 0;
}

void network_setup_destroy(struct network_setup *setup)
{
	if (!setup)
		return;
	agent_forget(setup->pending);
	free(setup);
}
