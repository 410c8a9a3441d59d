#include "shim/task/update.h"

#include "common/mem.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/pod/pod_limits.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/guest_spec.h"
#include "shim/spec/spec.h"
#include "shim/task/operation.h"

/*
 * Upwards the machine comes first, then the guest's limit; downwards the limit, then the machine.
 * Until the guest has answered, the claim keeps room for both.
 */
struct update {
	struct operation operation;
	Grpc__LinuxResources *resources;
	struct vm_limits to;
	cpu_set_t cpus;
	struct limits_claim claim;
	bool claims; /* @claim is listed */
};

static void end_claim(struct update *update)
{
	if (update->claims)
		LIST_REMOVE(&update->claim, link);
	update->claims = false;
}

static void update_fini(struct operation *operation)
{
	struct update *update = (struct update *)operation;

	end_claim(update);
	spec_resources_free(update->resources);
}

/* Before the guest allows the container more. */
static void make_room(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;

	if (!container_pause(operation->pod))
		pod_limits_share(operation->pod, ((struct update *)ctx)->resources);
	operation_make_room(ctx);
}

static void undo_room(struct seq *seq, void *ctx)
{
	end_claim(ctx);
	operation_give_room_back(ctx);
}

static void update_in_guest(struct seq *seq, void *ctx)
{
	const struct update *update = ctx;
	struct operation *operation = ctx;
	Grpc__UpdateContainerRequest request = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
	struct error err;

	guest_spec_drop_cpuset(update->resources);
	request.container_id = operation->process->container_id;
	request.resources = update->resources;
	if (agent_update_container(sandbox_agent(operation->pod->sandbox), &request,
	                           operation_answered, operation, &operation->pending, &err) < 0)
		seq_fail(seq, &err);
}

static void give_room_back(struct seq *seq, void *ctx)
{
	struct update *update = ctx;
	struct container *container = update->operation.process->container;

	container_set_limits(container, &update->to, &update->cpus);
	end_claim(update);
	operation_give_room_back(ctx);
}

static const struct seq_step update_steps[] = {
	{ "make room in the machine", make_room, undo_room, NULL },
	{ "update in the guest", update_in_guest, NULL, NULL },
	{ "give room back", give_room_back, NULL, NULL },
	{ 0 },
};

static const struct operation_kind update_kind = {
	.name = "update",
	.beside = true,
	.steps = update_steps,
	.succeed = operation_finish,
	.fini = update_fini,
};

void update_run(struct pod *pod, struct process *init, Grpc__LinuxResources *resources,
                struct ttrpc_call *call)
{
	struct container *container = init->container;
	const struct vm_limits to = vm_limits_of(resources);
	const struct vm_limits then = vm_limits_update(&container->limits, &to);
	struct update *update;
	struct error err;

	if (guest_spec_check_cpuset(resources, &err) < 0 ||
	    (!pod->size.is_static &&
	     vm_limits_check_raise(&container->limits, &then, &pod->size.max, &err) < 0)) {
		spec_resources_free(resources);
		ttrpc_call_fail(call, &err);
		return;
	}
	update = mem_new(struct update);
	update->resources = resources;
	update->to = to;
	update->cpus = guest_spec_cpuset(resources);
	update->claim.limits = then;
	update->claims = true;
	LIST_INSERT_HEAD(&container->claims, &update->claim, link);
	operation_run(&update->operation, &update_kind, pod, init, call);
}
