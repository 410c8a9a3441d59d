#include "shim/host/placeholder.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "common/loop/proc.h"
#include "common/mem.h"

enum placeholder_state {
	PLACEHOLDER_STARTING,
	PLACEHOLDER_RUNNING,
	PLACEHOLDER_ENDING, /* killed by us, not reaped yet */
	PLACEHOLDER_GONE,   /* @cause is why; without one it was ended */
};

struct placeholder {
	enum placeholder_state state;
	struct proc *proc;
	pid_t pid;
	struct error cause;
	done_fn *started;
	void *started_ctx;
	placeholder_ended_fn *ended;
	void *ended_ctx;
	placeholder_lost_fn *on_lost;
	void *ctx;
};

/* Its last act is the callback. */
static void report_start(struct placeholder *placeholder)
{
	done_fn *started = placeholder->started;

	placeholder->started = NULL;
	if (started)
		started(placeholder->started_ctx,
		        placeholder->cause.code ? &placeholder->cause : NULL);
}

/* Its last acts are the callbacks: to one who waits for its start in vain, and to one who ends it. */
static void report_end(struct placeholder *placeholder)
{
	placeholder_ended_fn *ended = placeholder->ended;
	void *ended_ctx = placeholder->ended_ctx;

	placeholder->ended = NULL;
	if (!placeholder->cause.code)
		error_set(&placeholder->cause, ERROR_CANCELED,
		          "the placeholder process of the host is not needed any more");
	report_start(placeholder);
	if (ended)
		ended(ended_ctx);
}

static void go(struct placeholder *placeholder)
{
	placeholder->state = PLACEHOLDER_GONE;
	proc_destroy(take_ptr(&placeholder->proc));
}

static void on_started(void *ctx, const struct error *err)
{
	struct placeholder *placeholder = ctx;
	bool ending = placeholder->state == PLACEHOLDER_ENDING;

	if (ending && !err)
		return; /* its end follows */
	placeholder->state = PLACEHOLDER_RUNNING;
	if (err) {
		error_copy(&placeholder->cause, err);
		go(placeholder);
	}
	if (ending)
		report_end(placeholder);
	else
		report_start(placeholder);
}

static void lose(struct placeholder *placeholder, int status)
{
	char how[100];

	proc_describe(status, how, sizeof(how));
	error_set(&placeholder->cause, ERROR_UNAVAILABLE,
	          "the placeholder process %d of the host %s", (int)placeholder->pid, how);
	go(placeholder);
	if (placeholder->started)
		report_start(placeholder);
	else
		placeholder->on_lost(placeholder->ctx, status);
}

static void on_exit_status(void *ctx, int status)
{
	struct placeholder *placeholder = ctx;

	if (placeholder->state != PLACEHOLDER_ENDING) {
		lose(placeholder, status);
		return;
	}
	go(placeholder);
	report_end(placeholder);
}

static int start(struct ev_loop *loop, const struct placeholder_config *config,
                 struct placeholder *placeholder, struct error *err)
{
	autoclose int program = open(config->program, O_PATH | O_CLOEXEC);
	const char *const argv[] = { config->title, NULL };
	const struct proc_spec spec = {
		.argv = argv,
		.program = &program,
		.network = config->network < 0 ? NULL : &config->network,
		.no_network = config->network < 0,
		.root = config->root,
		.uid = config->uid,
		.gid = config->uid,
		.no_new_privs = true,
	};

	if (program < 0) {
		error_errno(err, "cannot open \"%s\"", config->program);
		return error_hint(err, "it is installed with the shim (cmake --install), below the "
		                       "same prefix");
	}
	return proc_start(loop, &spec, on_started, on_exit_status, placeholder, &placeholder->proc,
	                  err);
}

int placeholder_start(struct ev_loop *loop, const struct placeholder_config *config,
                      placeholder_lost_fn *on_lost, void *ctx, struct placeholder **out,
                      struct error *err)
{
	autodestroy(placeholder) struct placeholder *placeholder = mem_new(struct placeholder);
	int r;

	assert(config->uid && config->root);
	placeholder->on_lost = on_lost;
	placeholder->ctx = ctx;
	r = start(loop, config, placeholder, err);
	if (r < 0)
		return r;
	placeholder->pid = proc_pid(placeholder->proc);
	*out = take_ptr(&placeholder);
	return 0;
}

pid_t placeholder_pid(const struct placeholder *placeholder)
{
	return placeholder->pid;
}

bool placeholder_is_gone(const struct placeholder *placeholder)
{
	return placeholder->state == PLACEHOLDER_GONE;
}

void placeholder_await(struct placeholder *placeholder, done_fn *done, void *ctx)
{
	placeholder->started = done;
	placeholder->started_ctx = ctx;
	if (placeholder->state != PLACEHOLDER_STARTING)
		report_start(placeholder);
}

void placeholder_end(struct placeholder *placeholder, placeholder_ended_fn *done, void *ctx)
{
	placeholder->ended = done;
	placeholder->ended_ctx = ctx;
	if (placeholder->state == PLACEHOLDER_GONE) {
		report_end(placeholder);
		return;
	}
	if (placeholder->state != PLACEHOLDER_ENDING)
		proc_kill(placeholder->proc, SIGKILL);
	placeholder->state = PLACEHOLDER_ENDING;
}

void placeholder_destroy(struct placeholder *placeholder)
{
	if (!placeholder)
		return;
	proc_destroy(placeholder->proc);
	free(placeholder);
}
