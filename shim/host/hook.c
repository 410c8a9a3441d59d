#include "shim/host/hook.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/loop/proc.h"
#include "common/mem.h"

#define READ_SIZE     4096
#define PIPE_CAPACITY (64 << 10) /* pipe(7) */
#define PRINTED_MAX   512        /* of its last output, for the error */
#define HOW_MAX       100

struct hook {
	struct ev_loop *loop;
	char *path;
	struct proc *proc;
	int output;
	ev_io readable;
	ev_timer deadline;
	int timeout_ms;
	bool timed_out;
	char printed[PRINTED_MAX + 1]; /* the end of what it printed */
	size_t n_printed;
	done_fn *done;
	void *ctx;
};

static void keep_end(struct hook *hook, const char *text, size_t len)
{
	size_t kept;

	if (len > PRINTED_MAX) {
		text += len - PRINTED_MAX;
		len = PRINTED_MAX;
	}
	kept = hook->n_printed + len > PRINTED_MAX ? PRINTED_MAX - len : hook->n_printed;
	memmove(hook->printed, hook->printed + hook->n_printed - kept, kept);
	memcpy(hook->printed + kept, text, len);
	hook->n_printed = kept + len;
	hook->printed[hook->n_printed] = '\0';
}

/* What it prints is taken, so that it does not wait for a reader. */
static void on_output(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct hook *hook = watcher->data;
	char text[READ_SIZE];
	ssize_t n = read(hook->output, text, sizeof(text));

	if (n > 0)
		keep_end(hook, text, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		ev_io_stop(loop, watcher);
}

/* One that it leaves in the background may hold the pipe, and write on: what was there is enough. */
static void read_rest(struct hook *hook)
{
	size_t left = PIPE_CAPACITY;
	char text[READ_SIZE];
	ssize_t n;

	while (left >= sizeof(text) && (n = read(hook->output, text, sizeof(text))) > 0) {
		keep_end(hook, text, (size_t)n);
		left -= (size_t)n;
	}
}

static const char *last_line(struct hook *hook)
{
	char *line;

	while (hook->n_printed && strchr(" \r\n", hook->printed[hook->n_printed - 1]))
		hook->printed[--hook->n_printed] = '\0';
	line = strrchr(hook->printed, '\n');
	return line ? line + 1 : hook->printed;
}

static void stop(struct hook *hook)
{
	ev_io_stop(hook->loop, &hook->readable);
	ev_timer_stop(hook->loop, &hook->deadline);
}

/* Its last act is the callback, which may destroy the hook. */
static void on_exit_status(void *ctx, int status)
{
	struct hook *hook = ctx;
	const char *line;
	char how[HOW_MAX];
	struct error err;

	read_rest(hook);
	stop(hook);
	if (status == 0) {
		hook->done(hook->ctx, NULL);
		return;
	}
	line = last_line(hook);
	proc_describe(status, how, sizeof(how));
	if (hook->timed_out)
		error_set(&err, ERROR_DEADLINE_EXCEEDED,
		          "hook \"%s\" was killed: not ended within %d ms%s%s", hook->path,
		          hook->timeout_ms, *line ? ": " : "", line);
	else
		error_set(&err, ERROR_UNKNOWN, "hook \"%s\" %s%s%s", hook->path, how,
		          *line ? ": " : "", line);
	hook->done(hook->ctx, &err);
}

/* If it has not started, the callback is the last act. */
static void on_started(void *ctx, const struct error *err)
{
	struct hook *hook = ctx;

	if (!err)
		return;
	stop(hook);
	hook->done(hook->ctx, err);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct hook *hook = timer->data;

	hook->timed_out = true;
	proc_kill(hook->proc, SIGKILL);
}

/* A file, not a pipe: a hook that does not read it holds up nothing. */
static int make_input(const char *text, struct error *err)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	size_t len = strlen(text);

	if (fd >= 0 && write(fd, text, len) == (ssize_t)len && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return error_errno(err, "cannot write a hook's input");
}

/* NULL-terminated; the strings are the config's. */
static const char **list_of(char *const *strings, size_t n, const char *otherwise)
{
	const char **list = mem_alloc((n + 2) * sizeof(*list));
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		list[len++] = strings[i];
	if (len == 0 && otherwise)
		list[len++] = otherwise;
	list[len] = NULL;
	return list;
}

static int spawn(struct hook *hook, const struct hook_config *config, int input, int output,
                 struct error *err)
{
	autofree const char **args = list_of(config->args, config->n_args, config->path);
	autofree const char **env = list_of(config->env, config->n_env, NULL);
	const struct proc_fd fds[] = { { input, 0 }, { output, 1 }, { output, 2 } };
	const struct proc_spec spec = {
		.argv = args,
		.path = config->path,
		.envp = config->n_env ? env : (const char *const *)environ,
		.fds = fds,
		.nfds = sizeof(fds) / sizeof(fds[0]),
		.mounts = config->mounts,
		.dir = config->dir,
	};

	return proc_start(hook->loop, &spec, on_started, on_exit_status, hook, &hook->proc, err);
}

static struct hook *hook_new(struct ev_loop *loop, const struct hook_config *config, done_fn *done,
                             void *ctx)
{
	struct hook *hook = mem_new(struct hook);

	hook->loop = loop;
	hook->path = mem_strdup(config->path);
	hook->timeout_ms = config->timeout_ms ? config->timeout_ms : HOOK_TIMEOUT_MS;
	hook->output = -1;
	hook->done = done;
	hook->ctx = ctx;
	ev_io_init(&hook->readable, on_output, -1, EV_READ);
	ev_timer_init(&hook->deadline, on_deadline, hook->timeout_ms / 1e3, 0);
	hook->readable.data = hook->deadline.data = hook;
	return hook;
}

int hook_start(struct ev_loop *loop, const struct hook_config *config, done_fn *done, void *ctx,
               struct hook **out, struct error *err)
{
	autodestroy(hook) struct hook *hook = hook_new(loop, config, done, ctx);
	autoclose int input = make_input(config->input, err);
	autoclose int output = -1;
	int ends[2];
	int r;

	if (input < 0)
		return input;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	hook->output = ends[0];
	output = ends[1];
	fcntl(hook->output, F_SETFL, O_NONBLOCK);
	r = spawn(hook, config, input, output, err);
	if (r < 0)
		return r;
	ev_io_set(&hook->readable, hook->output, EV_READ);
	ev_io_start(loop, &hook->readable);
	ev_now_update(loop); /* forking takes its time */
	ev_timer_start(loop, &hook->deadline);
	*out = take_ptr(&hook);
	return 0;
}

void hook_destroy(struct hook *hook)
{
	if (!hook)
		return;
	stop(hook);
	proc_destroy(hook->proc);
	cleanup_close(&hook->output);
	free(hook->path);
	free(hook);
}
