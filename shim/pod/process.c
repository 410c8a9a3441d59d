#include "shim/pod/process.h"

#include <assert.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "shim/host/placeholder.h"
#include "shim/pod/events.h"
#include "shim/spec/spec.h"
#include "shim/stdio/stdio.h"

struct process_waiter {
	LIST_ENTRY(process_waiter) link;
	process_wait_fn *done;
	void *ctx;
};

static const char *const state_names[PROCESS_STATES] = {
	[PROCESS_CREATED] = "created", [PROCESS_STARTING] = "starting",
	[PROCESS_RUNNING] = "running", [PROCESS_PAUSED] = "paused",
	[PROCESS_STOPPED] = "stopped",
};

/* Rows: from. */
static const bool transitions[PROCESS_STATES][PROCESS_STATES] = {
	[PROCESS_CREATED] = { [PROCESS_STARTING] = true, [PROCESS_STOPPED] = true },
	[PROCESS_STARTING] = { [PROCESS_CREATED] = true,
	                       [PROCESS_RUNNING] = true,
	                       [PROCESS_STOPPED] = true },
	[PROCESS_RUNNING] = { [PROCESS_PAUSED] = true, [PROCESS_STOPPED] = true },
	[PROCESS_PAUSED] = { [PROCESS_RUNNING] = true, [PROCESS_STOPPED] = true },
};

/*
 * Why a call is refused; an empty place: it is legal. STARTING has no column: a call that comes
 * then waits for its turn. The texts are those of containerd's runc shim (process/init_state.go and
 * exec_state.go), which clients show and some read.
 */
/* clang-format off */
static const char *const refusals[PROCESS_VERBS][PROCESS_STATES] = {
	[PROCESS_START] = {
		[PROCESS_RUNNING] = "cannot start a running process",
		[PROCESS_PAUSED] = "cannot start a paused process",
		[PROCESS_STOPPED] = "cannot start a stopped process",
	},
	[PROCESS_DELETE] = {
		[PROCESS_RUNNING] = "cannot delete a running process",
		[PROCESS_PAUSED] = "cannot delete a paused process",
	},
	[PROCESS_KILL] = {
		[PROCESS_STOPPED] = "process already finished",
	},
	[PROCESS_EXEC] = {
		[PROCESS_PAUSED] = "cannot exec in a paused state",
		[PROCESS_STOPPED] = "cannot exec in a stopped state",
	},
	[PROCESS_PAUSE] = {
		[PROCESS_CREATED] = "cannot pause task in created state",
		[PROCESS_PAUSED] = "cannot pause a paused container",
		[PROCESS_STOPPED] = "cannot pause a stopped container",
	},
	[PROCESS_RESUME] = {
		[PROCESS_CREATED] = "cannot resume task in created state",
		[PROCESS_RUNNING] = "cannot resume a running process",
		[PROCESS_STOPPED] = "cannot resume a stopped container",
	},
	[PROCESS_UPDATE] = {
		[PROCESS_STOPPED] = "cannot update a stopped container",
	},
	[PROCESS_RESIZE] = {
		[PROCESS_STOPPED] = "cannot resize a stopped container",
	},
	[PROCESS_CHECKPOINT] = {
		[PROCESS_CREATED] = "cannot checkpoint a task in created state",
		[PROCESS_STOPPED] = "cannot checkpoint a stopped container",
	},
};
/* clang-format on */

struct process *process_create(struct container *container, const char *container_id,
                               const char *exec_id, const struct process_stdio *paths,
                               struct events *events)
{
	struct process *process = mem_new(struct process);

	process->container = container;
	process->events = events;
	process->container_id = mem_strdup(container_id);
	process->id = mem_strdup(exec_id ? exec_id : "");
	/* The agent knows a container's init by the container's id: an exec's is longer. */
	process->guest_id =
		exec_id ? mem_printf("%s.%s", container_id, exec_id) : mem_strdup(container_id);
	process->paths = (struct process_stdio){
		.in = mem_strdup(paths->in),
		.out = mem_strdup(paths->out),
		.err = mem_strdup(paths->err),
		.terminal = paths->terminal,
	};
	turn_init(&process->turn);
	LIST_INIT(&process->waiters);
	return process;
}

bool process_is_init(const struct process *process)
{
	return !*process->id;
}

struct agent_process process_in_guest(const struct process *process)
{
	return (struct agent_process){ process->container_id, process->guest_id };
}

int process_allows(const struct process *process, enum process_verb verb, struct error *err)
{
	const char *refusal = refusals[verb][process->state];

	if (!refusal)
		return 0;
	return error_set(err, verb == PROCESS_KILL ? ERROR_NOT_FOUND : ERROR_FAILED_PRECONDITION,
	                 "%s", refusal);
}

static void set_state(struct process *process, enum process_state state)
{
	assert(transitions[process->state][state]);
	log_debug("process container=%s exec=\"%s\" from=%s to=%s", process->container_id,
	          process->id, state_names[process->state], state_names[state]);
	process->state = state;
}

Google__Protobuf__Timestamp *process_exit_time(const struct process *process,
                                               Google__Protobuf__Timestamp *at)
{
	if (process->state != PROCESS_STOPPED)
		return NULL;
	at->seconds = process->exited_at.tv_sec;
	at->nanos = (int32_t)process->exited_at.tv_nsec;
	return at;
}

static void publish_exit(struct process *process)
{
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Containerd__Events__TaskExit event = CONTAINERD__EVENTS__TASK_EXIT__INIT;

	if (process->is_no_task)
		return;
	event.container_id = process->container_id;
	event.id = process_is_init(process) ? process->container_id : process->id;
	event.pid = process->pid;
	event.exit_status = (uint32_t)process->exit_status;
	event.exited_at = process_exit_time(process, &at);
	events_publish(process->events, "/tasks/exit", &event.base);
}

/* Each of those who wait is told; none is left. */
static void complete_waiters(struct process *process, const struct error *err)
{
	struct process_waiter *waiter;

	while ((waiter = LIST_FIRST(&process->waiters))) {
		LIST_REMOVE(waiter, link);
		waiter->done(waiter->ctx, process, err);
		free(waiter);
	}
}

static void report_exit(struct process *process)
{
	process->exit_status = process->end_status;
	set_state(process, PROCESS_STOPPED);
	log_info("process exited container=%s exec=\"%s\" status=%d", process->container_id,
	         process->id, process->exit_status);
	publish_exit(process);
	complete_waiters(process, NULL);
}

bool process_report_exit(struct process *process)
{
	bool due = process->exited && process->state != PROCESS_STOPPED;

	if (due)
		report_exit(process);
	return due;
}

static void report_exit_when_due(struct process *process)
{
	if (process->settled && process->state != PROCESS_STARTING)
		process_report_exit(process);
}

static void on_output_read(void *ctx)
{
	struct process *process = ctx;

	process->settled = true;
	report_exit_when_due(process);
}

static void end(struct process *process, const struct agent_exit *exit)
{
	const struct stdio_written written = { exit->written_out, exit->written_err };

	if (process->exited || process->state == PROCESS_STOPPED)
		return;
	process_unwatch(process);
	process->exited = true;
	process->end_status = exit->status;
	clock_gettime(CLOCK_REALTIME, &process->exited_at);
	log_debug("process ended container=%s exec=\"%s\" status=%d", process->container_id,
	          process->id, exit->status);
	if (process->stdio)
		stdio_await_read(process->stdio, &written, on_output_read, process);
	else
		on_output_read(process);
}

void process_exited(struct process *process, int status)
{
	const struct agent_exit exit = { .status = status,
		                         .written_out = AGENT_WRITTEN_ALL,
		                         .written_err = AGENT_WRITTEN_ALL };

	end(process, &exit);
}

static void publish_oom(const struct process *process)
{
	Containerd__Events__TaskOOM event = CONTAINERD__EVENTS__TASK_OOM__INIT;

	event.container_id = process->container_id;
	events_publish(process->events, "/tasks/oom", &event.base);
}

static void on_guest_exit(void *ctx, const struct agent_exit *exit, const struct error *err)
{
	const struct agent_exit unknown = { .status = PROCESS_STATUS_UNKNOWN,
		                            .written_out = AGENT_WRITTEN_ALL,
		                            .written_err = AGENT_WRITTEN_ALL };
	struct process *process = ctx;

	process->wait = NULL;
	if (err && err->code == ERROR_UNAVAILABLE)
		return; /* the guest is lost, which ends every process of it */
	if (err)
		log_error("exit status unknown container=%s exec=\"%s\": %s", process->container_id,
		          process->id, err->text);
	if (exit && exit->oom)
		publish_oom(process);
	end(process, exit ? exit : &unknown);
}

static int ask_for_exit(struct process *process, struct agent *agent, struct error *err)
{
	struct agent_process in_guest = process_in_guest(process);

	return agent_wait(agent, &in_guest, on_guest_exit, process, &process->wait, err);
}

static void on_read_to_end(void *ctx)
{
	struct process *process = ctx;
	struct error err;

	if (!process->is_read)
		return;
	process->is_read = false;
	if (ask_for_exit(process, process->agent, &err) < 0)
		on_guest_exit(process, NULL, &err);
}

int process_watch(struct process *process, struct agent *agent, struct error *err)
{
	if (!process->stdio || !stdio_is_by_calls(process->stdio))
		return ask_for_exit(process, agent, err);
	process->is_read = true;
	stdio_read_to_end(process->stdio, on_read_to_end, process);
	return 0;
}

void process_killed(struct process *process)
{
	static const struct stdio_written all = { STDIO_TO_THE_END, STDIO_TO_THE_END };

	if (process->is_read && !process->killed)
		stdio_await_read(process->stdio, &all, on_read_to_end, process);
	process->killed = true;
}

void process_unwatch(struct process *process)
{
	process->is_read = false;
	agent_forget(take_ptr(&process->wait));
}

void process_destroy(struct process *process, const struct error *why)
{
	struct error deleted;

	if (!process)
		return;
	if (process->state != PROCESS_STARTING)
		process_report_exit(process);
	error_set(&deleted, ERROR_NOT_FOUND, "process does not exist %s: it was deleted",
	          process_is_init(process) ? process->container_id : process->id);
	if (!why)
		why = &deleted;
	turn_end(&process->turn, why);
	complete_waiters(process, why);
	agent_forget(process->wait);
	agent_forget(process->kill);
	placeholder_destroy(process->placeholder);
	stdio_destroy(process->stdio);
	spec_process_free(process->spec);
	free(process->container_id);
	free(process->id);
	free(process->guest_id);
	free(process->paths.in);
	free(process->paths.out);
	free(process->paths.err);
	free(process);
}

void process_starting(struct process *process)
{
	set_state(process, PROCESS_STARTING);
}

void process_started(struct process *process)
{
	set_state(process, PROCESS_RUNNING);
	report_exit_when_due(process);
}

void process_start_failed(struct process *process)
{
	if (process_report_exit(process)) {
		return;
	} else if (process_is_init(process)) {
		set_state(process, PROCESS_CREATED);
	} else {
		/* A client first waits for the end of the output, and only then asks for Delete. */
		process_unwatch(process);
		stdio_destroy(take_ptr(&process->stdio));
		placeholder_destroy(take_ptr(&process->placeholder));
		process->pid = 0;
		process->exit_status = PROCESS_STATUS_UNKNOWN;
		clock_gettime(CLOCK_REALTIME, &process->exited_at);
		set_state(process, PROCESS_STOPPED);
		complete_waiters(process, NULL);
	}
}

void process_paused(struct process *process)
{
	if (process->state == PROCESS_RUNNING)
		set_state(process, PROCESS_PAUSED);
}

void process_resumed(struct process *process)
{
	if (process->state == PROCESS_PAUSED)
		set_state(process, PROCESS_RUNNING);
}

struct process_waiter *process_wait(struct process *process, process_wait_fn *done, void *ctx)
{
	struct process_waiter *waiter;

	if (process->state == PROCESS_STOPPED) {
		done(ctx, process, NULL);
		return NULL;
	}
	waiter = mem_new(struct process_waiter);
	waiter->done = done;
	waiter->ctx = ctx;
	LIST_INSERT_HEAD(&process->waiters, waiter, link);
	return waiter;
}

void process_forget(struct process_waiter *waiter)
{
	if (!waiter)
		return;
	LIST_REMOVE(waiter, link);
	free(waiter);
}

void process_set_console_size(struct process *process, uint32_t rows, uint32_t columns)
{
	Grpc__Process *spec = process->spec;

	if (!spec->consolesize) {
		spec->consolesize = mem_new(Grpc__Box);
		grpc__box__init(spec->consolesize);
	}
	spec->consolesize->height = rows;
	spec->consolesize->width = columns;
}

void process_close_stdin(struct process *process)
{
	process->stdin_closed = true;
	if (process->stdio)
		stdio_close_stdin(process->stdio);
}
