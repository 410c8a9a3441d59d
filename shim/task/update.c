#include "shim/task/update.h"

#include "common/mem.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/pod/pod_limits.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/spec.h"
#include "shim/task/operation.h"

struct update {
	struct operation operation;
	Grpc__LinuxResources *resources;
	struct vm_limits before; /* of the container */
};

static void update_fini(struct operation *operation)
{
	spec_resources_free(((struct update *)operation)->resources);
}

/* Before the guest allows the container more. */
static void make_room(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;

	if (!container_pause(operation->pod))
		pod_limits_share(operation->pod, ((struct update *)ctx)->resources);
	operation_make_room(ctx);
}

static void update_in_guest(struct seq *seq, void *ctx)
{
	const struct update *update = ctx;
	struct operation *operation = ctx;
	Grpc__UpdateContainerRequest request = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
	struct error err;

	request.container_id = operation->process->container_id;
	request.resources = update->resources;
	if (agent_update_container(sandbox_agent(operation->pod->sandbox), &request,
	                           operation_answered, operation, &operation->pending, &err) < 0)
		seq_fail(seq, &err);
}

static const struct seq_step update_steps[] = {
	{ "make room in the machine", make_room, NULL, NULL },
	{ "update in the guest", update_in_guest, NULL, NULL },
	{ 0 },
};

static void update_fail(struct operation *operation, const struct error *err)
{
	operation->process->container->limits = ((struct update *)operation)->before;
}

static const struct operation_kind update_kind = {
	.name = "update",
	.beside = true,
	.steps = update_steps,
	.succeed = operation_finish,
	.fail = update_fail,
	.fini = update_fini,
};

void update_run(struct pod *pod, struct process *init, Grpc__LinuxResources *resources,
                struct ttrpc_call *call)
{
	struct update *update = mem_new(struct update);

	const struct vm_limits to = vm_limits_of(resources);

	update->resources = resources;
	update->before = init->container->limits;
	init->container->limits = vm_limits_update(&update->before, &to);
	operation_run(&update->operation, &update_kind, pod, init, call);
}
