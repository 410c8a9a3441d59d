#include "agent/guest/network.h"
#include "agent/pod/calls.h"
#include "agent/pod/sandbox.h"
#include "common/mem.h"
#include "proto/message.h"

static void fail_without(struct ttrpc_call *call, const char *field)
{
	struct error err;

	error_set(&err, ERROR_INVALID_ARGUMENT, "%s: no %s", ttrpc_call_method(call), field);
	ttrpc_call_fail(call, &err);
}

/* An UpdateInterface: its answer is what was asked for, as upstream's. */
struct update {
	struct ttrpc_call *call;
	const Types__Interface *interface;
};

static void on_updated(void *ctx, const struct error *err)
{
	struct update *update = ctx;

	if (err)
		ttrpc_call_fail(update->call, err);
	else
		ttrpc_call_reply(update->call, &update->interface->base);
	free(update);
}

void network_on_update_interface(struct ttrpc_call *call, const ProtobufCMessage *message,
                                 void *ctx)
{
	const Grpc__UpdateInterfaceRequest *request = (const Grpc__UpdateInterfaceRequest *)message;
	struct update *update;
	struct error err;

	if (!request->interface) {
		fail_without(call, "interface");
		return;
	}
	update = mem_new(struct update);
	update->call = call;
	update->interface = request->interface;
	if (network_update_interface(sandbox_network(ctx), request->interface, on_updated, update,
	                             &err) < 0)
		on_updated(update, &err);
}

static void reply_routes(struct ttrpc_call *call, struct network *network)
{
	Grpc__Routes *routes;
	struct error err;

	if (network_list_routes(network, &routes, &err) < 0) {
		ttrpc_call_fail(call, &err);
		return;
	}
	ttrpc_call_reply(call, &routes->base);
	message_free(&routes->base);
}

void network_on_update_routes(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__UpdateRoutesRequest *request = (const Grpc__UpdateRoutesRequest *)message;
	struct network *network = sandbox_network(ctx);
	struct error err;

	if (!request->routes)
		fail_without(call, "routes");
	else if (network_update_routes(network, request, &err) < 0)
		ttrpc_call_fail(call, &err);
	else
		reply_routes(call, network);
}

void network_on_list_routes(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	reply_routes(call, sandbox_network(ctx));
}

void network_on_list_interfaces(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	Grpc__Interfaces *interfaces;
	struct error err;

	if (network_list_interfaces(sandbox_network(ctx), &interfaces, &err) < 0) {
		ttrpc_call_fail(call, &err);
		return;
	}
	ttrpc_call_reply(call, &interfaces->base);
	message_free(&interfaces->base);
}

void network_on_add_neighbours(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__AddARPNeighborsRequest *request = (const Grpc__AddARPNeighborsRequest *)message;
	struct error err;
	int r;

	if (!request->neighbors) {
		fail_without(call, "neighbors");
		return;
	}
	r = network_add_neighbours(sandbox_network(ctx), request, &err);
	ttrpc_call_finish(call, r < 0 ? &err : NULL);
}
