#include "agent/pod/process.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/oom.h"
#include "agent/pod/stdio.h"
#include "common/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"

struct waiter {
	SLIST_ENTRY(waiter) link;
	struct ttrpc_call *call;
	bool with_oom;
};

struct process {
	struct ev_loop *loop;
	struct streams *streams;
	struct launch *launch;
	struct stdio stdio;
	struct oom_watch *oom;
	ev_child child;
	bool exited;
	int status;
	SLIST_HEAD(, waiter) waiters;
	done_fn *on_created;
	process_exited_fn *on_exited;
	void *ctx;
};

static int status_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? PROCESS_STATUS_SIGNALED + WTERMSIG(wait_status)
	                                : WEXITSTATUS(wait_status);
}

static void answer_wait(const struct process *process, struct ttrpc_call *call, bool with_oom)
{
	Grpc__WaitProcessResponse response = GRPC__WAIT_PROCESS_RESPONSE__INIT;
	Grpc__Written out = GRPC__WRITTEN__INIT, err = GRPC__WRITTEN__INIT;

	response.status = process->status;
	response.oom = with_oom && !ttrpc_call_is_orphan(call) && oom_watch_take(process->oom);
	if (stdio_written(&process->stdio, process->streams, 1, &out.bytes))
		response.written_out = &out;
	if (stdio_written(&process->stdio, process->streams, 2, &err.bytes))
		response.written_err = &err;
	ttrpc_call_reply(call, &response.base);
}

/* False: there is none. */
static bool next_waiter(struct process *process, struct waiter *out)
{
	struct waiter *waiter = SLIST_FIRST(&process->waiters);

	if (!waiter)
		return false;
	*out = *waiter;
	SLIST_REMOVE_HEAD(&process->waiters, link);
	free(waiter);
	return true;
}

static void on_child(struct ev_loop *loop, ev_child *watcher, int events)
{
	struct process *process = watcher->data;
	struct waiter waiter;

	ev_child_stop(loop, watcher);
	process->exited = true;
	process->status = status_of(watcher->rstatus);
	oom_watch_check(process->oom);
	stdio_finish(&process->stdio);
	while (next_waiter(process, &waiter))
		answer_wait(process, waiter.call, waiter.with_oom);
	process->on_exited(process->ctx);
}

static void on_created(void *ctx, int console, const struct error *cause)
{
	struct process *process = ctx;
	struct error err;

	if (!cause &&
	    stdio_connect(&process->stdio, process->loop, process->streams, console, &err) < 0)
		cause = &err;
	if (!cause) { /* not reaped before the loop runs again: no exit is missed */
		ev_child_set(&process->child, launch_pid(process->launch), 0);
		ev_child_start(process->loop, &process->child);
	}
	process->on_created(process->ctx, cause);
}

/* The process of an exec goes where the container's init is when it cannot be in the container's
 * cgroup itself. */
static int launch_in_cgroup(struct process *process, const struct process_config *config,
                            struct launch_config *launch, struct error *err)
{
	autoclose int of_init = -1;
	int r;

	r = launch_create(process->loop, launch, on_created, process, &process->launch, err);
	if (r != -EBUSY || !launch->init)
		return r;
	r = cgroup_open_of(config->cgroup, launch_pid(launch->init), &of_init, err);
	if (r < 0)
		return r;
	launch->cgroup_fd = of_init;
	return launch_create(process->loop, launch, on_created, process, &process->launch, err);
}

static int open_and_init(struct process *process, const struct process_config *config,
                         struct error *err)
{
	struct launch_config launch = config->launch;
	const struct stdio_config stdio = {
		.ports = { config->ports[0], config->ports[1], config->ports[2] },
		.by_calls = config->by_calls,
		.terminal = launch.process->terminal,
	};
	int r;

	r = stdio_open(&process->stdio, process->loop, process->streams, &stdio, err);
	if (r < 0)
		return r;
	for (int i = 0; i < 3; i++)
		launch.stdio[i] = process->stdio.child[i];
	r = launch_in_cgroup(process, config, &launch, err);
	stdio_close_child(&process->stdio);
	return r;
}

int process_create(struct ev_loop *loop, struct streams *streams,
                   const struct process_config *config, done_fn *created, process_exited_fn *exited,
                   void *ctx, struct process **out, struct error *err)
{
	autodestroy(process) struct process *process = mem_new(struct process);
	int r;

	process->loop = loop;
	process->streams = streams;
	process->on_created = created;
	process->on_exited = exited;
	process->ctx = ctx;
	process->oom = config->oom;
	SLIST_INIT(&process->waiters);
	stdio_init(&process->stdio);
	ev_child_init(&process->child, on_child, 0, 0);
	process->child.data = process;
	r = open_and_init(process, config, err);
	if (r < 0)
		return r;
	*out = take_ptr(&process);
	return 0;
}

int process_start(struct process *process, done_fn *done, void *ctx, struct error *err)
{
	if (process->exited)
		return error_set(err, ERROR_FAILED_PRECONDITION, "the process has ended already");
	return launch_run(process->launch, done, ctx, err);
}

bool process_exited(const struct process *process)
{
	return process->exited;
}

const struct launch *process_launch(const struct process *process)
{
	return process->launch;
}

static int refuse_exited(struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND, "process already finished");
}

int process_signal(struct process *process, int sig, struct error *err)
{
	if (!process->exited &&
	    syscall(SYS_pidfd_send_signal, launch_pidfd(process->launch), sig, NULL, 0) == 0)
		return 0;
	if (process->exited || errno == ESRCH)
		return refuse_exited(err);
	if (errno == EINVAL)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid signal \"%d\": not known to the kernel", sig);
	return error_errno(err, "cannot send signal %d", sig);
}

void process_wait(struct process *process, struct ttrpc_call *call, bool with_oom)
{
	struct waiter *waiter;

	if (process->exited) {
		answer_wait(process, call, with_oom);
		return;
	}
	waiter = mem_new(struct waiter);
	waiter->call = call;
	waiter->with_oom = with_oom;
	SLIST_INSERT_HEAD(&process->waiters, waiter, link);
}

int process_resize(struct process *process, uint32_t rows, uint32_t columns, struct error *err)
{
	return stdio_resize(&process->stdio, rows, columns, err);
}

void process_close_stdin(struct process *process)
{
	stdio_close_stdin(&process->stdio);
}

int process_write(struct process *process, const uint8_t *data, size_t len, struct ttrpc_call *call,
                  struct error *err)
{
	if (process->exited)
		return refuse_exited(err);
	return stdio_write(&process->stdio, data, len, call, err);
}

int process_read(struct process *process, int which, uint32_t len, struct ttrpc_call *call,
                 struct error *err)
{
	return stdio_read(&process->stdio, which, len, call, err);
}

bool process_was_read(const struct process *process)
{
	return stdio_was_read(&process->stdio);
}

static void fail_waiters(struct process *process)
{
	struct waiter waiter;
	struct error err;

	error_set(&err, ERROR_NOT_FOUND, "the process was removed before it was seen to exit");
	while (next_waiter(process, &waiter))
		ttrpc_call_fail(waiter.call, &err);
}

void process_destroy(struct process *process)
{
	if (!process)
		return;
	fail_waiters(process);
	ev_child_stop(process->loop, &process->child);
	launch_destroy(process->launch);
	stdio_fini(&process->stdio);
	free(process);
}
