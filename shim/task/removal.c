#include "shim/task/removal.h"

#include <signal.h>

#include "common/log.h"
#include "common/loop/seq.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "shim/config/config.h"
#include "shim/pod/container.h"
#include "shim/pod/events.h"
#include "shim/pod/pod.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/stdio/stdio.h"
#include "shim/storage/rootfs.h"

struct removal {
	struct pod *pod;
	struct process *process;
	struct ttrpc_call *call;
	struct seq *seq;
	struct agent_call *pending;
	struct process_waiter *exit;
};

static void removal_free(struct removal *removal)
{
	process_forget(removal->exit);
	agent_forget(removal->pending);
	seq_destroy(removal->seq);
	free(removal);
}

static void removal_abandon(void *ctx, const struct error *why)
{
	struct removal *removal = ctx;

	ttrpc_call_fail(removal->call, why);
	removal_free(removal);
}

/* A Delete is to get rid of things: a step that fails is logged, and the next one begins. */
static void go_on(struct removal *removal, const char *what, const struct error *err)
{
	if (err)
		log_warn("%s container=%s: %s", what, removal->process->container_id, err->text);
	seq_next(removal->seq);
}

static void on_exit_told(void *ctx, const struct process *process, const struct error *err)
{
	struct removal *removal = ctx;

	removal->exit = NULL;
	go_on(removal, "wait for the exit", err);
}

static void on_killed(void *ctx, const struct error *err)
{
	struct removal *removal = ctx;

	removal->pending = NULL;
	if (err)
		log_warn("kill what was never started container=%s: %s",
		         removal->process->container_id, err->text);
}

/* An init that was created and never started waits in the guest. */
static void kill_created(struct seq *seq, void *ctx)
{
	struct removal *removal = ctx;
	struct process *process = removal->process;
	const struct agent_process all = { process->container_id, "" };
	struct error err;

	if (process->state == PROCESS_STOPPED) {
		seq_next(seq);
		return;
	}
	container_doom(process->container);
	removal->exit = process_wait(process, on_exit_told, removal);
	if (agent_signal(sandbox_agent(removal->pod->sandbox), &all, SIGKILL, on_killed, removal,
	                 &removal->pending, &err) < 0)
		on_killed(removal, &err);
}

static void on_drained(void *ctx)
{
	struct removal *removal = ctx;

	seq_next(removal->seq);
}

static void drain(struct seq *seq, void *ctx)
{
	struct removal *removal = ctx;

	if (removal->process->stdio)
		stdio_drain(removal->process->stdio, on_drained, removal);
	else
		seq_next(seq);
}

static void on_guest_answer(void *ctx, const struct error *err)
{
	struct removal *removal = ctx;

	removal->pending = NULL;
	go_on(removal, "remove from the guest", err);
}

static void remove_from_guest(struct seq *seq, void *ctx)
{
	struct removal *removal = ctx;
	struct sandbox *sandbox = removal->pod->sandbox;
	struct error err;

	if (sandbox_state(sandbox) != SANDBOX_READY)
		seq_next(seq); /* it went with the guest */
	else if (agent_remove_container(sandbox_agent(sandbox), removal->process->container_id,
	                                on_guest_answer, removal, &removal->pending, &err) < 0)
		go_on(removal, "remove from the guest", &err);
}

static void on_unmounted(void *ctx, const struct error *err)
{
	go_on(ctx, "unmount the root file system", err);
}

static void unmount_rootfs(struct seq *seq, void *ctx)
{
	struct removal *removal = ctx;
	struct error err;

	if (rootfs_unmount(removal->process->container->rootfs,
	                   removal->pod->config->mount_timeout_ms, on_unmounted, removal, &err) < 0)
		go_on(removal, "unmount the root file system", &err);
}

/* Nothing is cancelled: each step has its own deadline, and the loss of the guest ends them all. */
/* clang-format off */
static const struct seq_step init_steps[] = {
	{ "kill what was never started", kill_created, NULL, NULL },
	{ "drain the output", drain, NULL, NULL },
	{ "remove from the guest", remove_from_guest, NULL, NULL },
	{ "unmount the rootfs", unmount_rootfs, NULL, NULL },
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

/* Every step has ended, with success or with a line in the log. */
static void on_removed(void *ctx, const struct error *err)
{
	struct removal *removal = ctx;
	struct pod *pod = removal->pod;
	struct process *process = removal->process;
	Containerd__Task__V2__DeleteResponse response = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp exited_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	response.pid = process->pid;
	response.exit_status = (uint32_t)process->exit_status;
	response.exited_at = process_exit_time(process, &exited_at);
	if (process_is_init(process))
		publish_delete(process, response.exited_at);
	ttrpc_call_reply(removal->call, &response.base);
	removal_free(removal);
	turn_leave(&process->turn);
	if (process_is_init(process))
		container_destroy(process->container, NULL);
	else
		container_remove_exec(process->container, process);
	pod->on_change(pod->ctx);
}

void removal_run(struct pod *pod, struct process *process, struct ttrpc_call *call)
{
	autofree char *title =
		mem_printf("delete container=%s exec=\"%s\"", process->container_id, process->id);
	struct removal *removal = mem_new(struct removal);

	removal->pod = pod;
	removal->process = process;
	removal->call = call;
	turn_take(&process->turn, removal_abandon, removal);
	removal->seq = seq_create(title, process_is_init(process) ? init_steps : exec_steps,
	                          removal, on_removed);
	seq_start(removal->seq);
}
