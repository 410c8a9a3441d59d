#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/stats.h"
#include "agent/pod/calls.h"
#include "agent/pod/container.h"
#include "agent/pod/sandbox.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "proto/agent.pb-c.h"

static int refuse_unsupported(const Grpc__CreateContainerRequest *request, struct error *err)
{
	const char *field = NULL;

	if (request->string_user)
		field = "string_user";
	else if (request->n_shared_mounts)
		field = "shared_mounts";
	if (field)
		return error_set(err, ERROR_UNIMPLEMENTED, "CreateContainer: %s: not supported",
		                 field);
	if (request->sandbox_pidns && *request->pid_namespace_of)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "CreateContainer: sandbox_pidns and pid_namespace_of: only one of "
		                 "them can be set");
	if (!request->oci)
		return error_set(err, ERROR_INVALID_ARGUMENT, "CreateContainer: no spec");
	return 0;
}

void container_on_create(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	/* The spec outlives the call: it is taken out of the request, not copied. */
	Grpc__CreateContainerRequest *request = (Grpc__CreateContainerRequest *)message;
	struct error err;

	if (refuse_unsupported(request, &err) < 0 ||
	    sandbox_add(ctx, request, ttrpc_call_finish, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

void container_on_start(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__StartContainerRequest *request = (const Grpc__StartContainerRequest *)message;
	struct container *container;
	struct error err;

	if (sandbox_find(ctx, request->container_id, ERROR_NOT_FOUND, &container, &err) < 0 ||
	    container_start(container, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

void container_on_remove(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__RemoveContainerRequest *request = (const Grpc__RemoveContainerRequest *)message;
	struct error err;

	if (sandbox_remove(ctx, request->container_id, ttrpc_call_finish, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

void container_on_pause(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__PauseContainerRequest *request = (const Grpc__PauseContainerRequest *)message;
	struct container *container;
	struct error err;

	if (sandbox_find(ctx, request->container_id, ERROR_INVALID_ARGUMENT, &container, &err) <
	            0 ||
	    container_pause(container, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

void container_on_resume(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__ResumeContainerRequest *request = (const Grpc__ResumeContainerRequest *)message;
	struct container *container;
	struct error err;
	int r;

	r = sandbox_find(ctx, request->container_id, ERROR_INVALID_ARGUMENT, &container, &err);
	if (r == 0)
		r = container_resume(container, &err);
	ttrpc_call_finish(call, r < 0 ? &err : NULL);
}

void container_on_update(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__UpdateContainerRequest *request = (const Grpc__UpdateContainerRequest *)message;
	struct container *container;
	struct error err;

	if (sandbox_find(ctx, request->container_id, ERROR_INVALID_ARGUMENT, &container, &err) <
	            0 ||
	    container_update(container, request->resources, ttrpc_call_finish, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

void container_on_stats(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__StatsContainerRequest *request = (const Grpc__StatsContainerRequest *)message;
	Grpc__StatsContainerResponse *stats;
	struct container *container;
	struct error err;

	if (sandbox_find(ctx, request->container_id, ERROR_INVALID_ARGUMENT, &container, &err) <
	            0 ||
	    stats_read(cgroup_fd(container_cgroup(container)), &stats, &err) < 0) {
		ttrpc_call_fail(call, &err);
		return;
	}
	ttrpc_call_reply(call, &stats->base);
	stats_free(stats);
}
