#include "shim/task/kill.h"

#include <signal.h>

#include "common/mem.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"

/* SIGKILL of an init. The waiter is its owner: it is called in every case, the answer is not. */
struct kill {
	struct ttrpc_call *call; /* NULL once answered */
	struct agent_call *pending;
};

static void on_exit_told(void *ctx, const struct process *process, const struct error *err)
{
	struct kill *kill = ctx;

	agent_forget(kill->pending);
	if (kill->call)
		ttrpc_call_finish(kill->call, err);
	free(kill);
}

/* From a guest that does not answer nothing more is to be heard; the end of its machine is. */
static void on_guest_answer(void *ctx, const struct error *err)
{
	struct kill *kill = ctx;

	kill->pending = NULL;
	if (!err || (err->code != ERROR_DEADLINE_EXCEEDED && err->code != ERROR_UNAVAILABLE))
		ttrpc_call_finish(take_ptr(&kill->call), err);
}

static void kill_init(struct pod *pod, struct process *init, const struct agent_process *target,
                      struct ttrpc_call *call)
{
	struct kill *kill = mem_new(struct kill);
	struct error err;

	kill->call = call;
	container_doom(init->container);
	process_wait(init, on_exit_told, kill);
	if (agent_signal(sandbox_agent(pod->sandbox), target, SIGKILL, on_guest_answer, kill,
	                 &kill->pending, &err) < 0)
		on_guest_answer(kill, &err);
}

void kill_run(struct pod *pod, struct process *process, uint32_t signal, bool all,
              struct ttrpc_call *call)
{
	struct agent_process target = process_in_guest(process);
	struct error err;

	if (all)
		target.exec_id = "";
	if (signal == SIGKILL && process_is_init(process))
		kill_init(pod, process, &target, call);
	else if (agent_signal(sandbox_agent(pod->sandbox), &target, signal, ttrpc_call_finish, call,
	                      NULL, &err) < 0)
		ttrpc_call_fail(call, &err);
}
