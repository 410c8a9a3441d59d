#include "shim/task/freeze.h"

#include "common/log.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "shim/pod/container.h"
#include "shim/pod/events.h"
#include "shim/pod/pod.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"

struct freeze {
	struct agent *agent;
	struct process *init;
	bool freeze; /* else thaw */
	struct ttrpc_call *call;
	struct agent_call *pending;
};

static void freeze_abandon(void *ctx, const struct error *why)
{
	struct freeze *freeze = ctx;

	agent_forget(freeze->pending);
	ttrpc_call_fail(freeze->call, why);
	free(freeze);
}

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

static void on_thawed(void *ctx, const struct error *err)
{
	if (err)
		log_debug("thaw after a pause that had no answer: %s", err->text);
}

/* A guest that comes to it after all is to be in the state that was told. */
static void undo_pause(struct freeze *freeze)
{
	agent_resume_container(freeze->agent, freeze->init->container_id, on_thawed, NULL, NULL,
	                       NULL);
}

static void on_guest_answer(void *ctx, const struct error *err)
{
	struct freeze *freeze = ctx;
	struct process *init = freeze->init;
	bool late = err && err->code == ERROR_DEADLINE_EXCEEDED;

	if (late && freeze->freeze)
		undo_pause(freeze);
	if (!err || (late && !freeze->freeze)) { /* late or not, it thaws */
		set_states(init->container, freeze->freeze);
		publish(init, freeze->freeze);
	}
	ttrpc_call_finish(freeze->call, err);
	free(freeze);
	turn_over(&init->turn);
}

void freeze_run(struct pod *pod, struct process *init, bool freeze_, struct ttrpc_call *call)
{
	struct freeze *freeze = mem_new(struct freeze);
	struct agent *agent = sandbox_agent(pod->sandbox);
	struct error err;
	int r;

	*freeze = (struct freeze){
		.agent = agent,
		.init = init,
		.freeze = freeze_,
		.call = call,
	};
	turn_take(&init->turn, freeze_abandon, freeze);
	if (freeze_)
		r = agent_pause_container(agent, init->container_id, on_guest_answer, freeze,
		                          &freeze->pending, &err);
	else
		r = agent_resume_container(agent, init->container_id, on_guest_answer, freeze,
		                           &freeze->pending, &err);
	if (r < 0)
		on_guest_answer(freeze, &err);
}
