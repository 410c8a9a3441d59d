#include "shim/task/delete.h"

#include <signal.h>

#include "common/log.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "shim/config/config.h"
#include "shim/pod/container.h"
#include "shim/pod/disk_set.h"
#include "shim/pod/events.h"
#include "shim/pod/pod.h"
#include "shim/pod/pod_limits.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/stdio/stdio.h"
#include "shim/storage/rootfs.h"
#include "shim/task/operation.h"

/* A Delete is to get rid of things: a step that fails is logged, and the next one begins. */

static void on_killed(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;

	operation->pending = NULL;
	if (err)
		log_warn("cannot kill the created process container=%s: %s",
		         operation->process->container_id, err->text);
}

/* An init that was created and never started waits in the guest. */
static void kill_created(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;
	struct process *process = operation->process;
	const struct agent_process all = { process->container_id, "" };
	struct error err;

	if (process->state == PROCESS_STOPPED) {
		seq_next(seq);
		return;
	}
	container_start_kill_timer(process->container);
	operation_wait_for_exit(operation);
	if (agent_signal(sandbox_agent(operation->pod->sandbox), &all, SIGKILL, on_killed,
	                 operation, &operation->pending, &err) < 0)
		on_killed(operation, &err);
}

/* A pause container that was created and never started. */
static void end_machine(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;

	if (operation->process->state == PROCESS_STOPPED) {
		seq_next(seq);
		return;
	}
	operation_wait_for_exit(operation);
	sandbox_stop(operation->pod->sandbox);
}

static void on_drained(void *ctx)
{
	operation_try(ctx, NULL);
}

static void drain(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;

	if (operation->process->stdio)
		stdio_drain(operation->process->stdio, on_drained, operation);
	else
		seq_next(seq);
}

static void remove_from_guest(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;

	if (sandbox_state(operation->pod->sandbox) != SANDBOX_READY)
		seq_next(seq); /* it went with the guest */
	else
		operation_ask(operation, agent_remove_container, operation_tried);
}

/* A machine that ends with its only container keeps none anyway. */
static void unplug_disks(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;
	struct container *container = operation->process->container;

	if (container->disks && (container_pause(operation->pod) || operation->pod->is_sandbox))
		disk_set_unplug(container->disks, operation_tried, operation);
	else
		seq_next(seq);
}

static void unmount_rootfs(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;
	struct error err;

	if (rootfs_unmount(operation->process->container->rootfs,
	                   operation->pod->config->mount_timeout_ms, operation_tried, operation,
	                   &err) < 0)
		operation_try(operation, &err);
}

/* Nothing is cancelled: each step has its own deadline, and the loss of the guest ends them all. */
/* clang-format off */
static const struct seq_step init_steps[] = {
	{ "kill the created process", kill_created, NULL, NULL },
	{ "drain the output", drain, NULL, NULL },
	{ "remove from the guest", remove_from_guest, NULL, NULL },
	{ "unplug the disks", unplug_disks, NULL, NULL },
	{ "end the placeholders", operation_end_placeholders, NULL, NULL },
	{ "unmount the rootfs", unmount_rootfs, NULL, NULL },
	{ "run the hooks", operation_run_poststop_hooks, NULL, NULL },
	{ 0 },
};

static const struct seq_step pause_steps[] = {
	{ "end the machine", end_machine, NULL, NULL },
	{ "end the placeholders", operation_end_placeholders, NULL, NULL },
	{ "run the hooks", operation_run_poststop_hooks, NULL, NULL },
	{ 0 },
};

static const struct seq_step exec_steps[] = {
	{ "drain the output", drain, NULL, NULL },
	{ 0 },
};
/* clang-format on */

static void publish_delete(const struct process *init, Google__Protobuf__Timestamp *exited_at)
{
	Containerd__Events__TaskDelete event = CONTAINERD__EVENTS__TASK_DELETE__INIT;

	event.container_id = init->container_id;
	event.pid = init->pid;
	event.exit_status = (uint32_t)init->exit_status;
	event.exited_at = exited_at;
	events_publish(init->events, "/tasks/delete", &event.base);
}

static void delete_succeed(struct operation *operation)
{
	const struct process *process = operation->process;
	Containerd__Task__V2__DeleteResponse response = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp exited_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	response.pid = process->pid;
	response.exit_status = (uint32_t)process->exit_status;
	response.exited_at = process_exit_time(process, &exited_at);
	if (process_is_init(process))
		publish_delete(process, response.exited_at);
	ttrpc_call_reply(operation->call, &response.base);
}

/* What is left of the pod's limits is theirs that stay. */
static void delete_container(struct pod *pod, struct container *container)
{
	container_destroy(container, NULL);
	if (!pod_is_empty(pod)) {
		pod_limits_apply(pod);
		pod_limits_pin_vcpus(pod);
	}
}

static void delete_leave(struct pod *pod, struct process *process, const struct error *err)
{
	turn_leave(&process->turn);
	if (process_is_init(process))
		delete_container(pod, process->container);
	else
		container_remove_exec(process->container, process);
	pod->on_change(pod->ctx);
}

static const struct operation_kind init_kind = {
	.name = "delete",
	.steps = init_steps,
	.succeed = delete_succeed,
	.leave = delete_leave,
};

static const struct operation_kind pause_kind = {
	.name = "delete",
	.steps = pause_steps,
	.succeed = delete_succeed,
	.leave = delete_leave,
};

static const struct operation_kind exec_kind = {
	.name = "delete",
	.steps = exec_steps,
	.succeed = delete_succeed,
	.leave = delete_leave,
};

static const struct operation_kind *kind_for(const struct process *process)
{
	if (!process_is_init(process))
		return &exec_kind;
	return process->container->is_pause ? &pause_kind : &init_kind;
}

void delete_run(struct pod *pod, struct process *process, struct ttrpc_call *call)
{
	operation_run(mem_new(struct operation), kind_for(process), pod, process, call);
}
