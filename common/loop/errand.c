#include "common/loop/errand.h"

#include <assert.h>
#include <ev.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/loop/proc.h"
#include "common/mem.h"

/* One message (SOCK_SEQPACKET), as long as its bytes are; descriptors go with it. */
struct report {
	struct error err; /* ERROR_NONE: the rest counts */
	unsigned char bytes[ERRAND_BYTES_MAX];
};

struct errand {
	struct ev_loop *loop;
	struct proc *proc;
	int report_fd;
	int timeout_ms;
	enum error_code killed_for; /* ERROR_NONE: not killed by us */
	ev_timer deadline;
	struct errand_result result;
	done_fn *done;
	void *ctx;
};

/* What the child has in its copy of the memory. */
struct child {
	const struct errand_spec *spec;
	int report_fd;
};

static bool report_send(int fd, struct report *report, const struct errand_result *result)
{
	size_t len = report->err.code ? 0 : result->bytes.len;
	size_t nfds = report->err.code ? 0 : result->nfds;

	if (len > 0)
		memcpy(report->bytes, buf_data(&result->bytes), len);
	return fd_message_send(fd, report, sizeof(report->err) + len, result->fds, nfds) > 0;
}

static int child_main(void *ctx)
{
	struct errand_result result = { .bytes = BUF_INIT(ERRAND_BYTES_MAX) };
	struct report *report = mem_new(struct report);
	const struct child *child = ctx;

	if (child->spec->work(child->spec->ctx, &result, &report->err) == 0)
		report->err.code = ERROR_NONE;
	else if (!report->err.code)
		error_set(&report->err, ERROR_INTERNAL,
		          "a child process does not say why it failed");
	return report_send(child->report_fd, report, &result) ? 0 : 1;
}

static void result_fini(struct errand_result *result)
{
	for (size_t i = 0; i < result->nfds; i++)
		cleanup_close(&result->fds[i]);
	buf_fini(&result->bytes);
}

/* False: the child has left no report. */
static bool report_receive(struct errand *errand, struct error *err)
{
	autofree struct report *report = mem_new(struct report);
	struct errand_result *result = &errand->result;
	ssize_t n = fd_message_receive(errand->report_fd, report, sizeof(*report), result->fds,
	                               ERRAND_FDS_MAX, &result->nfds);

	if (n < (ssize_t)sizeof(report->err))
		return false;
	report->err.text[sizeof(report->err.text) - 1] = '\0';
	error_copy(err, &report->err);
	buf_append(&result->bytes, report->bytes, (size_t)n - sizeof(report->err));
	return true;
}

/* Its last act is @done. */
static void finish(struct errand *errand, const struct error *err)
{
	ev_timer_stop(errand->loop, &errand->deadline);
	errand->done(errand->ctx, err->code ? err : NULL);
}

static void on_exit_status(void *ctx, int status)
{
	struct errand *errand = ctx;
	struct error err = { 0 };
	char how[100];

	proc_describe(status, how, sizeof(how));
	if (errand->killed_for == ERROR_CANCELED)
		error_set(&err, ERROR_CANCELED, "canceled");
	else if (report_receive(errand, &err)) /* it may have been done before it was killed */
		;
	else if (errand->killed_for)
		error_set(&err, ERROR_DEADLINE_EXCEEDED, "not done within %d ms%s%s",
		          errand->timeout_ms,
		          status == PROC_STUCK ? ", and the child process " : "",
		          status == PROC_STUCK ? how : "");
	else
		error_set(&err, ERROR_INTERNAL, "a child process %s", how);
	finish(errand, &err);
}

static void kill_child(struct errand *errand, enum error_code why)
{
	if (!errand->killed_for)
		errand->killed_for = why;
	ev_timer_stop(errand->loop, &errand->deadline);
	proc_kill(errand->proc, SIGKILL);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	kill_child(timer->data, ERROR_DEADLINE_EXCEEDED);
}

static struct errand *errand_new(struct ev_loop *loop, int timeout_ms, done_fn *done, void *ctx)
{
	struct errand *errand = mem_new(struct errand);

	errand->loop = loop;
	errand->report_fd = -1;
	errand->timeout_ms = timeout_ms;
	errand->result.bytes.max = ERRAND_BYTES_MAX;
	errand->done = done;
	errand->ctx = ctx;
	ev_timer_init(&errand->deadline, on_deadline, timeout_ms / 1e3, 0);
	errand->deadline.data = errand;
	return errand;
}

/* The report's descriptor, and those that the work needs, all under their own numbers. */
static int spawn(struct errand *errand, const struct errand_spec *errand_spec, int report_fd,
                 struct error *err)
{
	struct child child = { .spec = errand_spec, .report_fd = report_fd };
	struct proc_fd fds[1 + ERRAND_FDS_MAX] = { { .fd = report_fd, .as = -1 } };
	struct proc_spec spec = { .main = child_main, .main_ctx = &child, .fds = fds, .nfds = 1 };

	assert(errand_spec->nfds <= ERRAND_FDS_MAX);
	for (size_t i = 0; i < errand_spec->nfds; i++)
		if (errand_spec->fds[i] >= 0)
			fds[spec.nfds++] = (struct proc_fd){ errand_spec->fds[i], -1 };
	return proc_spawn(errand->loop, &spec, on_exit_status, errand, &errand->proc, err);
}

int errand_start_with(struct ev_loop *loop, const struct errand_spec *spec, done_fn *done,
                      void *ctx, struct errand **out, struct error *err)
{
	autodestroy(errand) struct errand *errand = errand_new(loop, spec->timeout_ms, done, ctx);
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, "cannot make a socket for a child process");
	errand->report_fd = ends[0];
	r = spawn(errand, spec, ends[1], err);
	close(ends[1]);
	if (r < 0)
		return r;
	ev_now_update(loop); /* forking takes its time */
	ev_timer_start(loop, &errand->deadline);
	*out = take_ptr(&errand);
	return 0;
}

int errand_start(struct ev_loop *loop, errand_fn *work, void *work_ctx, int timeout_ms,
                 done_fn *done, void *ctx, struct errand **out, struct error *err)
{
	const struct errand_spec spec = { .work = work, .ctx = work_ctx, .timeout_ms = timeout_ms };

	return errand_start_with(loop, &spec, done, ctx, out, err);
}

struct errand_result *errand_result(struct errand *errand)
{
	return &errand->result;
}

void errand_cancel(struct errand *errand)
{
	if (!proc_ended(errand->proc))
		kill_child(errand, ERROR_CANCELED);
}

void errand_destroy(struct errand *errand)
{
	if (!errand)
		return;
	ev_timer_stop(errand->loop, &errand->deadline);
	proc_destroy(errand->proc);
	cleanup_close(&errand->report_fd);
	result_fini(&errand->result);
	free(errand);
}
