#include "shim/pod/network_setup.h"

#include <stdlib.h>

#include "common/mem.h"
#include "shim/network/guest_network.h"
#include "shim/pod/agent_client.h"

struct network_setup {
	struct agent *agent;
	struct guest_network *guest;
	size_t told; /* interfaces */
	enum {
		SETUP_INTERFACES,
		SETUP_ROUTES,
		SETUP_NEIGHBOURS,
		SETUP_DONE
	} stage;
	struct agent_call *pending;
	done_fn *done;
	void *ctx;
};

static void on_told(void *ctx, const struct error *err);

static int tell_interface(struct network_setup *setup, struct error *err)
{
	Grpc__UpdateInterfaceRequest request = GRPC__UPDATE_INTERFACE_REQUEST__INIT;

	request.interface = setup->guest->interfaces.interfaces[setup->told++];
	if (agent_update_interface(setup->agent, &request, on_told, setup, &setup->pending, err) <
	    0)
		return error_wrap(err, "interface \"%s\"", request.interface->name);
	return 0;
}

static int tell_routes(struct network_setup *setup, struct error *err)
{
	Grpc__UpdateRoutesRequest request = GRPC__UPDATE_ROUTES_REQUEST__INIT;

	request.routes = &setup->guest->routes;
	request.rules = setup->guest->rules;
	request.n_rules = setup->guest->n_rules;
	return agent_update_routes(setup->agent, &request, on_told, setup, &setup->pending, err);
}

static int tell_neighbours(struct network_setup *setup, struct error *err)
{
	Grpc__AddARPNeighborsRequest request = GRPC__ADD_ARPNEIGHBORS_REQUEST__INIT;

	request.neighbors = &setup->guest->neighbours;
	return agent_add_neighbours(setup->agent, &request, on_told, setup, &setup->pending, err);
}

/* 1: a call is under way; 0: there is nothing left to be told; or -errno. */
static int tell_next(struct network_setup *setup, struct error *err)
{
	const struct guest_network *guest = setup->guest;
	int r = 0;

	if (setup->stage == SETUP_INTERFACES && setup->told == guest->interfaces.n_interfaces)
		setup->stage = SETUP_ROUTES;
	if (setup->stage == SETUP_ROUTES && !guest->routes.n_routes && !guest->n_rules)
		setup->stage = SETUP_NEIGHBOURS;
	if (setup->stage == SETUP_NEIGHBOURS && !guest->neighbours.n_arpneighbors)
		setup->stage = SETUP_DONE;
	switch (setup->stage) {
	case SETUP_INTERFACES:
		r = tell_interface(setup, err);
		break;
	case SETUP_ROUTES:
		setup->stage = SETUP_NEIGHBOURS;
		r = tell_routes(setup, err);
		break;
	case SETUP_NEIGHBOURS:
		setup->stage = SETUP_DONE;
		r = tell_neighbours(setup, err);
		break;
	case SETUP_DONE:
		return 0;
	}
	return r < 0 ? r : 1;
}

/* Its last act is the callback, which may free the setup. */
static void on_told(void *ctx, const struct error *err)
{
	struct network_setup *setup = ctx;
	struct error cause;
	int r = 0;

	setup->pending = NULL;
	if (!err) {
		r = tell_next(setup, &cause);
		if (r > 0)
			return;
		err = r < 0 ? &cause : NULL;
	}
	if (!err) {
		setup->done(setup->ctx, NULL);
		return;
	}
	error_copy(&cause, err);
	error_wrap(&cause, "cannot set up the guest's network");
	setup->done(setup->ctx, &cause);
}

int network_setup_start(struct agent *agent, struct guest_network *guest, done_fn *done, void *ctx,
                        struct network_setup **out, struct error *err)
{
	struct network_setup *setup = mem_new(struct network_setup);
	int r;

	setup->agent = agent;
	setup->guest = guest;
	setup->done = done;
	setup->ctx = ctx;
	r = tell_next(setup, err);
	if (r == 0) /* @done does not come from within */
		r = error_set(err, ERROR_INVALID_ARGUMENT, "no interface to set up");
	if (r < 0) {
		network_setup_destroy(setup);
		return error_wrap(err, "cannot set up the guest's network");
	}
	*out = setup;
	return 0;
}

void network_setup_destroy(struct network_setup *setup)
{
	if (!setup)
		return;
	agent_forget(setup->pending);
	guest_network_destroy(setup->guest);
	free(setup);
}
