#include "shim/task/freeze.h"

#include "common/log.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "shim/pod/container.h"
#include "shim/pod/events.h"
#include "shim/pod/pod.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/task/operation.h"

static void set_states(struct container *container, bool frozen)
{
	void (*set)(struct process *) = frozen ? process_paused : process_resumed;
	struct process *exec;

	set(container->init);
	LIST_FOREACH (exec, &container->execs, link)
		set(exec);
}

static void publish(struct process *init, bool frozen)
{
	Containerd__Events__TaskPaused paused = CONTAINERD__EVENTS__TASK_PAUSED__INIT;
	Containerd__Events__TaskResumed resumed = CONTAINERD__EVENTS__TASK_RESUMED__INIT;

	paused.container_id = resumed.container_id = init->container_id;
	if (frozen)
		events_publish(init->events, "/tasks/paused", &paused.base);
	else
		events_publish(init->events, "/tasks/resumed", &resumed.base);
}

static void frozen_is(struct process *init, bool frozen)
{
	set_states(init->container, frozen);
	publish(init, frozen);
}

static void on_thawed(void *ctx, const struct error *err)
{
	if (err)
		log_debug("thaw after a pause that had no answer: %s", err->text);
}

/* A guest that comes to it after all is to be in the state that was told. */
static void on_paused(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;

	if (err && err->code == ERROR_DEADLINE_EXCEEDED)
		agent_resume_container(sandbox_agent(operation->pod->sandbox),
		                       operation->process->container_id, on_thawed, NULL, NULL,
		                       NULL);
	operation_answered(operation, err);
}

static void pause_in_guest(struct seq *seq, void *ctx)
{
	operation_ask(ctx, agent_pause_container, on_paused);
}

static void pause_succeed(struct operation *operation)
{
	frozen_is(operation->process, true);
	operation_finish(operation);
}

static void resume_in_guest(struct seq *seq, void *ctx)
{
	operation_ask(ctx, agent_resume_container, operation_answered);
}

static void resume_succeed(struct operation *operation)
{
	frozen_is(operation->process, false);
	operation_finish(operation);
}

/* Late or not, it thaws. */
static void resume_fail(struct operation *operation, const struct error *err)
{
	if (err->code == ERROR_DEADLINE_EXCEEDED)
		frozen_is(operation->process, false);
}

static const struct seq_step pause_steps[] = {
	{ "pause in the guest", pause_in_guest, NULL, NULL },
	{ 0 },
};

static const struct seq_step resume_steps[] = {
	{ "resume in the guest", resume_in_guest, NULL, NULL },
	{ 0 },
};

static const struct operation_kind pause_kind = {
	.name = "pause",
	.steps = pause_steps,
	.succeed = pause_succeed,
};

static const struct operation_kind resume_kind = {
	.name = "resume",
	.steps = resume_steps,
	.succeed = resume_succeed,
	.fail = resume_fail,
};

void freeze_run(struct pod *pod, struct process *init, bool freeze, struct ttrpc_call *call)
{
	operation_run(mem_new(struct operation), freeze ? &pause_kind : &resume_kind, pod, init,
	              call);
}
