#include "shim/task/operation.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "shim/host/placeholder.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/agent_stdio.h"
#include "shim/pod/container.h"
#include "shim/pod/hooks.h"
#include "shim/pod/pod.h"
#include "shim/pod/pod_limits.h"
#include "shim/pod/process.h"
#include "shim/stdio/stdio.h"

static void operation_free(struct operation *operation)
{
	if (operation->kind->beside)
		turn_side_remove(&operation->side);
	if (operation->waits)
		LIST_REMOVE(&operation->waiter, link);
	if (operation->resizes)
		sandbox_leave_size(operation->pod->sandbox, &operation->size);
	ev_timer_stop(operation->pod->loop, &operation->go_on);
	process_forget(operation->exit);
	agent_forget(operation->pending);
	seq_destroy(operation->seq);
	if (operation->kind->fini)
		operation->kind->fini(operation);
	free(operation);
}

static void operation_abandon(void *ctx, const struct error *why)
{
	struct operation *operation = ctx;

	ttrpc_call_fail(operation->call, why);
	operation_free(operation);
}

/* Its last act may free the process. */
static void operation_end(struct operation *operation, const struct error *err)
{
	const struct operation_kind *kind = operation->kind;
	struct process *process = operation->process;
	struct pod *pod = operation->pod;
	struct error cause;

	if (err) {
		error_copy(&cause, err); /* @err may be of what is freed */
		err = &cause;
		ttrpc_call_fail(operation->call, err);
		if (kind->fail)
			kind->fail(operation, err);
	} else {
		kind->succeed(operation);
	}
	operation_free(operation);
	if (kind->leave)
		kind->leave(pod, process, err);
	else if (!kind->beside)
		turn_over(&process->turn);
}

static void on_explained(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;

	operation->waits = false;
	operation_end(operation, err);
}

static void on_done(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;

	if (!err) {
		operation_end(operation, NULL);
		return;
	}
	operation->waits = true;
	sandbox_explain(operation->pod->sandbox, err, &operation->waiter, on_explained, operation);
}

static void go_on(struct operation *operation)
{
	agent_forget(take_ptr(&operation->pending)); /* what has ended the process, perhaps */
	seq_next(operation->seq);
}

static void on_go_on(struct ev_loop *loop, ev_timer *timer, int events)
{
	go_on(timer->data);
}

void operation_run(struct operation *operation, const struct operation_kind *kind, struct pod *pod,
                   struct process *process, struct ttrpc_call *call)
{
	autofree char *title = mem_printf("%s container=%s exec=\"%s\"", kind->name,
	                                  process->container_id, process->id);

	operation->kind = kind;
	operation->pod = pod;
	operation->process = process;
	operation->call = call;
	ev_timer_init(&operation->go_on, on_go_on, 0, 0);
	operation->go_on.data = operation;
	if (kind->beside)
		turn_side_add(&process->turn, &operation->side, operation_abandon, operation);
	else
		turn_take(&process->turn, operation_abandon, operation);
	operation->seq = seq_create(title, kind->steps, operation, on_done);
	seq_start(operation->seq);
}

void operation_finish(struct operation *operation)
{
	ttrpc_call_finish(operation->call, NULL);
}

void operation_answered(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;
	struct error own;

	operation->pending = NULL;
	if (err && err->code == ERROR_NOT_FOUND) {
		error_copy(&own, err);
		own.code = ERROR_UNKNOWN;
		err = &own;
	}
	seq_resume(operation->seq, err);
}

void operation_try(struct operation *operation, const struct error *err)
{
	if (err)
		log_warn("%s container=%s: %s", operation->kind->name,
		         operation->process->container_id, err->text);
	seq_next(operation->seq);
}

void operation_tried(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;

	operation->pending = NULL;
	operation_try(operation, err);
}

static void on_guest_ready(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;

	operation->waits = false;
	seq_resume(operation->seq, err);
}

void operation_ask(struct operation *operation, operation_ask_fn *ask, done_fn *done)
{
	struct error err;

	if (ask(sandbox_agent(operation->pod->sandbox), operation->process->container_id, done,
	        operation, &operation->pending, &err) < 0)
		done(operation, &err);
}

static void on_room(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;

	operation->resizes = false;
	pod_limits_place_vcpus(operation->pod);
	seq_resume(operation->seq, err);
}

void operation_make_room(struct operation *operation)
{
	struct pod *pod = operation->pod;
	const struct vm_size wanted = container_wanted_size(pod);

	pod_limits_apply(pod);
	operation->resizes = true;
	sandbox_grow(pod->sandbox, &wanted, &operation->size, on_room, operation);
}

void operation_give_room_back(struct operation *operation)
{
	pod_limits_apply(operation->pod);
	operation->resizes = true;
	sandbox_shrink(operation->pod->sandbox, &operation->size, on_room, operation);
}

void operation_wait_for_guest(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;

	operation->waits = true;
	sandbox_when_ready(operation->pod->sandbox, &operation->waiter, on_guest_ready, operation);
}

void operation_wait_for_network(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;

	operation->waits = true;
	sandbox_when_connected(operation->pod->sandbox, &operation->waiter, on_guest_ready,
	                       operation);
}

void operation_wait_for_nameservers(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;

	operation->waits = true;
	sandbox_when_resolving(operation->pod->sandbox, operation->process->container->resolv_conf,
	                       &operation->waiter, on_guest_ready, operation);
}

/* Who is told of an exit must not destroy the process, and kind->leave may do that. */
static void on_exit_told(void *ctx, const struct process *process, const struct error *err)
{
	struct operation *operation = ctx;

	operation->exit = NULL;
	if (operation->kind->leave)
		ev_timer_start(operation->pod->loop, &operation->go_on);
	else
		go_on(operation);
}

void operation_wait_for_exit(struct operation *operation)
{
	operation->exit = process_wait(operation->process, on_exit_told, operation);
}

void operation_open_streams(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	const struct pod *pod = operation->pod;
	struct process *process = operation->process;
	const struct stdio_config config = {
		.in = process->paths.in,
		.out = process->paths.out,
		.err = process->paths.err,
		.terminal = process->paths.terminal,
		.id = process->container_id,
		.config = pod->config,
		.ns = pod->ns,
		.io = agent_stdio_for(sandbox_agent(pod->sandbox), process),
	};
	struct error err;

	if (stdio_open(pod->loop, sandbox_vsock(pod->sandbox), &config, seq_resume, seq,
	               &process->stdio, &err) < 0)
		seq_fail(seq, &err);
}

void operation_open_stdin(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	const struct process *process = operation->process;
	struct error err;

	if (stdio_open_stdin(process->stdio, process->paths.in, &err) < 0) {
		seq_fail(seq, &err);
		return;
	}
	if (process->stdin_closed)
		stdio_close_stdin(process->stdio);
	seq_next(seq);
}

/* A boot that has no uid yet is waited for, or has failed, which that wait reports. */
void operation_start_placeholder(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	struct error err;

	if (sandbox_uid(operation->pod->sandbox) &&
	    container_start_placeholder(operation->process, &err) < 0)
		seq_fail(seq, &err);
	else
		seq_next(seq);
}

static void on_placeholder_started(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;
	struct process *process = operation->process;

	if (!err)
		process->pid = (uint32_t)placeholder_pid(process->placeholder);
	seq_resume(operation->seq, err);
}

void operation_await_placeholder(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;
	struct process *process = operation->process;
	struct error err;

	if (!process->placeholder && container_start_placeholder(process, &err) < 0)
		seq_fail(seq, &err);
	else
		placeholder_await(process->placeholder, on_placeholder_started, operation);
}

static void on_placeholders_ended(void *ctx)
{
	const struct operation *operation = ctx;

	seq_next(operation->seq);
}

void operation_end_placeholders(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;

	container_end_placeholders(operation->process->container, on_placeholders_ended, operation);
}

static void on_hooks_ended(void *ctx, const struct error *err)
{
	struct operation *operation = ctx;

	hooks_make_undue(operation->process->container->hooks);
	operation_try(operation, err);
}

void operation_run_poststop_hooks(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;
	const struct pod *pod = operation->pod;

	hooks_run(operation->process->container->hooks, pod->loop, HOOKS_POSTSTOP, 0,
	          &pod->host_mounts, on_hooks_ended, operation);
}

void operation_watch(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	struct error err;

	if (process_watch(operation->process, sandbox_agent(operation->pod->sandbox), &err) < 0)
		seq_fail(seq, &err);
	else
		seq_next(seq);
}
