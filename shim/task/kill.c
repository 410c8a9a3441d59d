#include "shim/task/kill.h"

#include <signal.h>

#include "common/mem.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/task/operation.h"

struct kill {
	struct operation operation;
	uint32_t signal;
	bool all;
};

/* A guest that does not answer a SIGKILL of an init is ended: the exit is the answer. */
static void on_signalled(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;

	operation->pending = NULL;
	if (!err && ((const struct kill *)operation)->signal == SIGKILL)
		operation->process->container->kill_answered |= process_is_init(operation->process);
	if (operation->exit && err &&
	    (err->code == ERROR_DEADLINE_EXCEEDED || err->code == ERROR_UNAVAILABLE))
		return;
	seq_resume(operation->seq, err);
}

static void signal_in_guest(struct seq *seq, void *ctx)
{
	const struct kill *kill = ctx;
	struct operation *operation = ctx;
	struct process *process = operation->process;
	struct agent_process target = process_in_guest(process);
	struct error err;

	if (kill->all)
		target.exec_id = "";
	if (kill->signal == SIGKILL)
		process_killed(process);
	if (kill->signal == SIGKILL && process_is_init(process)) {
		container_start_kill_timer(process->container);
		operation_wait_for_exit(operation);
	}
	if (agent_signal(sandbox_agent(operation->pod->sandbox), &target, kill->signal,
	                 on_signalled, operation, &operation->pending, &err) < 0)
		on_signalled(operation, &err);
}

/* As the programs of pause images have it (Kubernetes, build/pause/linux/pause.c): SIGTERM and
 * SIGINT end it with 0; other signals but SIGKILL do nothing to the first process of a pid
 * namespace. The machine ends with it. */
static void end_machine(struct seq *seq, void *ctx)
{
	const struct kill *kill = ctx;
	const struct operation *operation = ctx;

	if (kill->signal == SIGTERM || kill->signal == SIGINT)
		operation->process->container->end_status = 0;
	if (kill->signal == SIGKILL || kill->signal == SIGTERM || kill->signal == SIGINT)
		sandbox_stop(operation->pod->sandbox);
	seq_next(seq);
}

static const struct seq_step pause_steps[] = {
	{ "end the machine", end_machine, NULL, NULL },
	{ 0 },
};

static const struct seq_step kill_steps[] = {
	{ "signal in the guest", signal_in_guest, NULL, NULL },
	{ 0 },
};

static const struct operation_kind kill_kind = {
	.name = "kill",
	.beside = true,
	.steps = kill_steps,
	.succeed = operation_finish,
};

static const struct operation_kind pause_kind = {
	.name = "kill",
	.beside = true,
	.steps = pause_steps,
	.succeed = operation_finish,
};

void kill_run(struct pod *pod, struct process *process, uint32_t signal, bool all,
              struct ttrpc_call *call)
{
	struct kill *kill = mem_new(struct kill);

	kill->signal = signal;
	kill->all = all;
	operation_run(&kill->operation, process->container->is_pause ? &pause_kind : &kill_kind,
	              pod, process, call);
}
