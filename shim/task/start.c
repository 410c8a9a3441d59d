#include "shim/task/start.h"

#include "common/log.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "shim/pod/container.h"
#include "shim/pod/events.h"
#include "shim/pod/hooks.h"
#include "shim/pod/pod.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/spec.h"
#include "shim/stdio/stdio.h"
#include "shim/task/operation.h"

static void start_in_guest(struct seq *seq, void *ctx)
{
	operation_ask(ctx, agent_start_container, operation_answered);
}

/* The guest is not to keep a process that was told to have failed. */
static void kill_exec(const struct operation *operation)
{
	const struct agent_process exec = process_in_guest(operation->process);

	if (sandbox_state(operation->pod->sandbox) == SANDBOX_READY)
		agent_end_exec(sandbox_agent(operation->pod->sandbox), &exec);
}

static void undo_exec(struct seq *seq, void *ctx)
{
	kill_exec(ctx);
	seq_next(seq);
}

static void on_exec_answer(void *ctx, const struct error *err)
{
	if (err && err->code == ERROR_DEADLINE_EXCEEDED) /* it may come to it after all */
		kill_exec(ctx);
	operation_answered(ctx, err);
}

static void exec_in_guest(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;
	struct process *exec = operation->process;
	const struct stdio_ports *ports = stdio_ports(exec->stdio);
	Grpc__Process process = *exec->spec;
	Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
	struct error err;

	if (!process.capabilities) /* as under runc, the container's */
		process.capabilities = exec->container->spec->capabilities;
	request.container_id = exec->container_id;
	request.exec_id = exec->guest_id;
	request.process = &process;
	request.stdin_port = ports->in;
	request.stdout_port = ports->out;
	request.stderr_port = ports->err;
	if (agent_exec_process(sandbox_agent(operation->pod->sandbox), &request, on_exec_answer,
	                       operation, &operation->pending, &err) < 0)
		seq_fail(seq, &err);
	else if (container_start_placeholder(exec, &err) < 0) /* beside the guest's work */
		log_warn("the start of a placeholder is tried again: %s", err.text);
}

static void run_hooks(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	const struct process *init = operation->process;
	const struct pod *pod = operation->pod;

	hooks_run(init->container->hooks, pod->loop, HOOKS_POSTSTART, (pid_t)init->pid,
	          &pod->host_mounts, seq_resume, seq);
}

static void read_stdin(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	const struct process *process = operation->process;
	struct error err;

	if (stdio_start(process->stdio, &err) < 0)
		log_warn("stdin is not read container=%s exec=\"%s\": %s", process->container_id,
		         process->id, err.text);
	seq_next(seq);
}

/* Nothing is cancelled: each step has its own deadline, and the loss of the guest ends them all.
 */
/* clang-format off */
static const struct seq_step init_steps[] = {
	{ "wait for the network", operation_wait_for_network, NULL, NULL },
	{ "wait for the nameservers", operation_wait_for_nameservers, NULL, NULL },
	{ "start in the guest", start_in_guest, NULL, NULL },
	{ "read stdin", read_stdin, NULL, NULL },
	{ "run the hooks", run_hooks, NULL, NULL },
	{ 0 },
};

/* A pause container has no process in the guest: it runs as the machine does. */
static const struct seq_step pause_steps[] = {
	{ "run the hooks", run_hooks, NULL, NULL },
	{ 0 },
};

static const struct seq_step exec_steps[] = {
	{ "open the streams", operation_open_streams, NULL, NULL },
	{ "open stdin", operation_open_stdin, NULL, NULL },
	{ "exec in the guest", exec_in_guest, undo_exec, NULL },
	{ "watch the process", operation_watch, NULL, NULL },
	{ "await the placeholder", operation_await_placeholder, NULL, NULL },
	{ "read stdin", read_stdin, NULL, NULL },
	{ 0 },
};
/* clang-format on */

static void publish_start(const struct process *process)
{
	Containerd__Events__TaskStart init = CONTAINERD__EVENTS__TASK_START__INIT;
	Containerd__Events__TaskExecStarted exec = CONTAINERD__EVENTS__TASK_EXEC_STARTED__INIT;

	if (process_is_init(process)) {
		init.container_id = process->container_id;
		init.pid = process->pid;
		events_publish(process->events, "/tasks/start", &init.base);
	} else {
		exec.container_id = process->container_id;
		exec.exec_id = process->id;
		exec.pid = process->pid;
		events_publish(process->events, "/tasks/exec-started", &exec.base);
	}
}

static void start_succeed(struct operation *operation)
{
	struct process *process = operation->process;
	Containerd__Task__V2__StartResponse response = CONTAINERD__TASK__V2__START_RESPONSE__INIT;

	publish_start(process);
	response.pid = process->pid;
	ttrpc_call_reply(operation->call, &response.base);
	process_started(process);
}

static void start_fail(struct operation *operation, const struct error *err)
{
	process_start_failed(operation->process);
}

static const struct operation_kind init_kind = {
	.name = "start",
	.steps = init_steps,
	.succeed = start_succeed,
	.fail = start_fail,
};

static const struct operation_kind pause_kind = {
	.name = "start",
	.steps = pause_steps,
	.succeed = start_succeed,
};

static const struct operation_kind exec_kind = {
	.name = "start",
	.steps = exec_steps,
	.succeed = start_succeed,
	.fail = start_fail,
};

static const struct operation_kind *kind_for(const struct process *process)
{
	if (!process_is_init(process))
		return &exec_kind;
	return process->container->is_pause ? &pause_kind : &init_kind;
}

void start_run(struct pod *pod, struct process *process, struct ttrpc_call *call)
{
	struct error err;

	if (sandbox_state(pod->sandbox) != SANDBOX_READY) {
		sandbox_refuse(pod->sandbox, &err);
		ttrpc_call_fail(call, &err);
		return;
	}
	process_starting(process);
	operation_run(mem_new(struct operation), kind_for(process), pod, process, call);
}
