#include "shim/stdio/logger.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/loop/proc.h"
#include "common/mem.h"
#include "shim/config/config.h"
#include "shim/stdio/copy.h"
#include "shim/stdio/stdio_uri.h"

enum { /* where a program finds its descriptors */
	PLACE_OUT = 3,
	PLACE_ERR = 4,
	PLACE_READY = 5,
};

struct logger {
	struct ev_loop *loop;
	const struct config *config;
	char *path; /* of the program or the file, for error texts */
	struct proc *proc;
	int out; /* write ends; -1 once taken */
	int err;
	bool copies;  /* into a file: see copy.h */
	int ready_fd; /* its end of file, or a program's byte, says that it is ready */
	ev_io on_ready_fd;
	ev_timer timer; /* of whatever is waited for: to be ready, or to end */
	int ending;     /* the signal that was sent last; 0: none */
	done_fn *ready;
	void *ready_ctx;
	void (*ended)(void *ctx);
	void *ended_ctx;
};

/* Its last act is the callback. */
static void report_ready(struct logger *logger, const struct error *err)
{
	done_fn *ready = logger->ready;

	ev_io_stop(logger->loop, &logger->on_ready_fd);
	ev_timer_stop(logger->loop, &logger->timer);
	logger->ready = NULL;
	ready(logger->ready_ctx, err);
}

/* Why the file cannot be opened; false: the copier has not said that. */
static bool read_cause(const struct logger *logger, struct error *err)
{
	int cause;

	if (!logger->copies || read(logger->ready_fd, &cause, sizeof(cause)) != sizeof(cause))
		return false;
	errno = cause;
	error_errno(err, "cannot open \"%s\" for output", logger->path);
	return true;
}

/* There is something to read: the end of file, a program's byte, or why a file is not open. */
static void on_ready_fd(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct logger *logger = watcher->data;
	struct error err;

	report_ready(logger, read_cause(logger, &err) ? &err : NULL);
}

/* Its last act is the callback. */
static void report_end(struct logger *logger)
{
	void (*ended)(void *) = logger->ended;

	ev_timer_stop(logger->loop, &logger->timer);
	logger->ended = NULL;
	ended(logger->ended_ctx);
}

static void on_exit_status(void *ctx, int status)
{
	struct logger *logger = ctx;
	char how[100];
	struct error err;

	proc_describe(status, how, sizeof(how));
	if (status)
		log_warn("logger \"%s\" %s", logger->path, how);
	if (logger->ready) {
		if (!read_cause(logger, &err))
			error_set(&err, ERROR_UNKNOWN, "logger \"%s\" %s before it was ready",
			          logger->path, how);
		report_ready(logger, &err);
	} else if (logger->ended) {
		report_end(logger);
	}
}

static void start_timer(struct logger *logger, int ms)
{
	ev_now_update(logger->loop);
	ev_timer_set(&logger->timer, ms / 1e3, 0);
	ev_timer_start(logger->loop, &logger->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct logger *logger = timer->data;
	struct error err;

	if (logger->ready) {
		error_set(&err, ERROR_DEADLINE_EXCEEDED, "logger \"%s\" was not ready within %d ms",
		          logger->path, logger->config->logger_ready_timeout_ms);
		proc_kill(logger->proc, SIGKILL);
		report_ready(logger, &err);
	} else if (logger->ending == SIGKILL) { /* not even that */
		report_end(logger);
	} else {
		logger->ending = logger->ending ? SIGKILL : SIGTERM;
		log_warn("logger \"%s\" does not end: signal %d", logger->path, logger->ending);
		proc_kill(logger->proc, logger->ending);
		start_timer(logger, logger->config->logger_term_timeout_ms);
	}
}

static int make_pipe(int *read_end, int *write_end, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	*read_end = ends[0];
	*write_end = ends[1];
	return 0;
}

static int make_nonblocking(int fd, struct error *err)
{
	if (file_set_nonblocking(fd) < 0)
		return error_errno(err, "cannot make a pipe non-blocking");
	return 0;
}

static int await_ready(struct logger *logger, struct error *err)
{
	if (make_nonblocking(logger->ready_fd, err) < 0)
		return error_code_errno(err->code);
	ev_io_set(&logger->on_ready_fd, logger->ready_fd, EV_READ);
	ev_io_start(logger->loop, &logger->on_ready_fd);
	start_timer(logger, logger->config->logger_ready_timeout_ms);
	return 0;
}

static struct logger *logger_new(struct ev_loop *loop, const char *path, done_fn *ready, void *ctx)
{
	struct logger *logger = mem_new(struct logger);

	logger->loop = loop;
	logger->path = mem_strdup(path);
	logger->out = logger->err = logger->ready_fd = -1;
	logger->ready = ready;
	logger->ready_ctx = ctx;
	ev_init(&logger->on_ready_fd, on_ready_fd);
	ev_init(&logger->timer, on_timer);
	logger->on_ready_fd.data = logger->timer.data = logger;
	return logger;
}

static int spawn_program(struct logger *logger, const struct stdio_uri *uri,
                         const struct logger_of *of, const struct proc_fd fds[3], struct error *err)
{
	autofree char *id = mem_printf("CONTAINER_ID=%s", of->id);
	autofree char *ns = mem_printf("CONTAINER_NAMESPACE=%s", of->ns);
	const char *envp[] = { id, ns, NULL };
	const char *argv[STDIO_ARGS_MAX + 2] = { uri->path };
	const struct proc_spec spec = {
		.argv = argv,
		.envp = envp,
		.fds = fds,
		.nfds = 3,
		.no_pdeathsig = true,
	};

	for (size_t i = 0; uri->args[i]; i++)
		argv[i + 1] = uri->args[i];
	return proc_spawn(logger->loop, &spec, on_exit_status, logger, &logger->proc, err);
}

static int start_program(struct logger *logger, const struct stdio_uri *uri,
                         const struct logger_of *of, struct error *err)
{
	autoclose int out = -1, err_fd = -1, ready = -1;
	struct proc_fd fds[3];
	int r;

	if (make_pipe(&out, &logger->out, err) < 0 || make_pipe(&err_fd, &logger->err, err) < 0 ||
	    make_pipe(&logger->ready_fd, &ready, err) < 0 ||
	    make_nonblocking(logger->out, err) < 0 || make_nonblocking(logger->err, err) < 0)
		return error_code_errno(err->code);
	fds[0] = (struct proc_fd){ out, PLACE_OUT };
	fds[1] = (struct proc_fd){ err_fd, PLACE_ERR };
	fds[2] = (struct proc_fd){ ready, PLACE_READY };
	r = spawn_program(logger, uri, of, fds, err);
	if (r < 0)
		return error_wrap(err, "logger");
	return await_ready(logger, err);
}

/* Both streams go through one pipe. */
static int start_copy(struct logger *logger, const struct stdio_uri *uri, struct error *err)
{
	const char *const argv[] = { "/proc/self/exe", COPY_COMMAND, uri->path, NULL };
	autoclose int from = -1, ready = -1;
	struct proc_fd fds[2];
	struct proc_spec spec = { .argv = argv, .fds = fds, .nfds = 2, .no_pdeathsig = true };

	logger->copies = true;
	if (make_pipe(&from, &logger->out, err) < 0 || make_nonblocking(logger->out, err) < 0)
		return error_code_errno(err->code);
	logger->err = fcntl(logger->out, F_DUPFD_CLOEXEC, 3);
	if (logger->err < 0)
		return error_errno(err, "cannot write output to \"%s\"", uri->path);
	if (make_pipe(&logger->ready_fd, &ready, err) < 0)
		return error_code_errno(err->code);
	fds[0] = (struct proc_fd){ from, STDIN_FILENO };
	fds[1] = (struct proc_fd){ ready, COPY_READY };
	if (proc_spawn(logger->loop, &spec, on_exit_status, logger, &logger->proc, err) < 0)
		return error_wrap(err, "cannot write output to \"%s\"", uri->path);
	return await_ready(logger, err);
}

int logger_start(struct ev_loop *loop, const struct stdio_uri *uri, const struct logger_of *of,
                 done_fn *ready, void *ctx, struct logger **out, struct error *err)
{
	autodestroy(logger) struct logger *logger = logger_new(loop, uri->path, ready, ctx);
	int r;

	logger->config = of->config;
	if (uri->kind == STDIO_LOGGER)
		r = start_program(logger, uri, of, err);
	else
		r = start_copy(logger, uri, err);
	if (r == 0)
		*out = take_ptr(&logger);
	return r;
}

int logger_take_out(struct logger *logger)
{
	return take_fd(&logger->out);
}

int logger_take_err(struct logger *logger)
{
	return take_fd(&logger->err);
}

void logger_end(struct logger *logger, void (*done)(void *ctx), void *ctx)
{
	assert(!logger->ended && !logger->ready);
	if (proc_ended(logger->proc)) {
		done(ctx);
		return;
	}
	logger->ended = done;
	logger->ended_ctx = ctx;
	start_timer(logger, logger->config->logger_grace_timeout_ms);
}

void logger_destroy(struct logger *logger)
{
	if (!logger)
		return;
	ev_io_stop(logger->loop, &logger->on_ready_fd);
	ev_timer_stop(logger->loop, &logger->timer);
	cleanup_close(&logger->out);
	cleanup_close(&logger->err);
	cleanup_close(&logger->ready_fd);
	proc_release(logger->proc);
	free(logger->path);
	free(logger);
}
