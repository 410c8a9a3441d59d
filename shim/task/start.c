#include "shim/task/start.h"

#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "common/loop/seq.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "shim/pod/container.h"
#include "shim/pod/events.h"
#include "shim/pod/pod.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/spec.h"
#include "shim/stdio/stdio.h"

struct start {
	struct pod *pod;
	struct process *process;
	struct ttrpc_call *call;
	struct seq *seq;
	struct agent_call *pending;
	struct sandbox_waiter waiter;
	bool waits; /* @waiter is listed */
};

static void start_free(struct start *start)
{
	if (start->waits)
		LIST_REMOVE(&start->waiter, link);
	agent_forget(start->pending);
	seq_destroy(start->seq);
	free(start);
}

static void start_abandon(void *ctx, const struct error *why)
{
	struct start *start = ctx;

	ttrpc_call_fail(start->call, why);
	start_free(start);
}

static void on_guest_answer(void *ctx, const struct error *err)
{
	struct start *start = ctx;
	struct error own;

	start->pending = NULL;
	if (err && err->code == ERROR_NOT_FOUND) { /* not of what containerd asks for */
		error_copy(&own, err);
		own.code = ERROR_UNKNOWN;
		err = &own;
	}
	seq_resume(start->seq, err);
}

static void on_too_late(void *ctx, const struct error *err)
{
}

static void on_exit_too_late(void *ctx, const struct agent_exit *exit, const struct error *err)
{
}

/* A guest that comes to it after all is not to keep a process that was told to have failed. */
static void kill_late_exec(const struct start *start)
{
	const struct agent_process exec = process_in_guest(start->process);
	struct agent *agent = sandbox_agent(start->pod->sandbox);

	agent_signal(agent, &exec, SIGKILL, on_too_late, NULL, NULL, NULL);
	agent_wait(agent, &exec, on_exit_too_late, NULL, NULL, NULL);
}

static void start_in_guest(struct seq *seq, void *ctx)
{
	struct start *start = ctx;
	struct error err;

	if (agent_start_container(sandbox_agent(start->pod->sandbox), start->process->container_id,
	                          on_guest_answer, start, &start->pending, &err) < 0)
		seq_fail(seq, &err);
}

static void open_stdio(struct seq *seq, void *ctx)
{
	struct start *start = ctx;
	struct process *exec = start->process;
	const struct stdio_config config = {
		.in = exec->paths.in,
		.out = exec->paths.out,
		.err = exec->paths.err,
		.terminal = exec->paths.terminal,
		.id = exec->container_id,
		.config = start->pod->config,
		.ns = start->pod->ns,
	};
	struct error err;

	if (stdio_open(start->pod->loop, sandbox_vsock(start->pod->sandbox), &config, seq_resume,
	               seq, &exec->stdio, &err) < 0)
		seq_fail(seq, &err);
}

static void on_exec_answer(void *ctx, const struct error *err)
{
	if (err && err->code == ERROR_DEADLINE_EXCEEDED)
		kill_late_exec(ctx);
	on_guest_answer(ctx, err);
}

static void exec_in_guest(struct seq *seq, void *ctx)
{
	struct start *start = ctx;
	struct process *exec = start->process;
	const struct stdio_ports *ports = stdio_ports(exec->stdio);
	Grpc__Process process = *exec->spec;
	Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
	struct error err;

	request.container_id = exec->container_id;
	request.exec_id = exec->guest_id;
	if (!process.capabilities) /* as under runc, the container's */
		process.capabilities = exec->container->spec->capabilities;
	request.process = &process;
	request.stdin_port = ports->in;
	request.stdout_port = ports->out;
	request.stderr_port = ports->err;
	if (agent_exec_process(sandbox_agent(start->pod->sandbox), &request, on_exec_answer, start,
	                       &start->pending, &err) < 0)
		seq_fail(seq, &err);
}

static void open_stdin(struct seq *seq, void *ctx)
{
	struct start *start = ctx;
	struct process *exec = start->process;
	struct error err;

	if (stdio_open_stdin(exec->stdio, exec->paths.in, &err) < 0 ||
	    process_watch(exec, sandbox_agent(start->pod->sandbox), &err) < 0) {
		seq_fail(seq, &err);
		return;
	}
	if (exec->stdin_closed)
		stdio_close_stdin(exec->stdio);
	seq_next(seq);
}

static void read_stdin(struct seq *seq, void *ctx)
{
	struct start *start = ctx;
	struct error err;

	if (stdio_start(start->process->stdio, &err) < 0)
		log_warn("stdin is not read container=%s exec=\"%s\": %s",
		         start->process->container_id, start->process->id, err.text);
	seq_next(seq);
}

/* Nothing is cancelled: each step has its own deadline, and the loss of the guest ends them all.
 */
/* clang-format off */
static const struct seq_step init_steps[] = {
	{ "start in the guest", start_in_guest, NULL, NULL },
	{ "read stdin", read_stdin, NULL, NULL },
	{ 0 },
};

static const struct seq_step exec_steps[] = {
	{ "open the streams", open_stdio, NULL, NULL },
	{ "exec in the guest", exec_in_guest, NULL, NULL },
	{ "open stdin", open_stdin, NULL, NULL },
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

static void start_end(struct start *start)
{
	struct process *process = start->process;

	start_free(start);
	turn_over(&process->turn);
}

static void on_explained(void *ctx, const struct error *err)
{
	struct start *start = ctx;

	start->waits = false;
	ttrpc_call_fail(start->call, err);
	process_start_failed(start->process);
	start_end(start);
}

static void on_started(void *ctx, const struct error *err)
{
	struct start *start = ctx;
	struct process *process = start->process;
	Containerd__Task__V2__StartResponse response = CONTAINERD__TASK__V2__START_RESPONSE__INIT;

	if (err) {
		start->waits = true;
		sandbox_explain(start->pod->sandbox, err, &start->waiter, on_explained, start);
		return;
	}
	publish_start(process);
	response.pid = process->pid;
	ttrpc_call_reply(start->call, &response.base);
	process_started(process);
	start_end(start);
}

void start_run(struct pod *pod, struct process *process, struct ttrpc_call *call)
{
	bool init = process_is_init(process);
	autofree char *title =
		mem_printf("start container=%s exec=\"%s\"", process->container_id, process->id);
	struct start *start;
	struct error err;

	if (sandbox_state(pod->sandbox) != SANDBOX_READY) {
		sandbox_refuse(pod->sandbox, &err);
		ttrpc_call_fail(call, &err);
		return;
	}
	start = mem_new(struct start);
	start->pod = pod;
	start->process = process;
	start->call = call;
	process->pid = (uint32_t)sandbox_pid(pod->sandbox);
	process_starting(process);
	turn_take(&process->turn, start_abandon, start);
	start->seq = seq_create(title, init ? init_steps : exec_steps, start, on_started);
	seq_start(start->seq);
}
