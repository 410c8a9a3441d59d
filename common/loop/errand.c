#include "common/loop/errand.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/loop/proc.h"
#include "common/loop/reaper.h"
#include "common/mem.h"

#define REPORT_FD 3 /* in the child */

struct errand {
	struct ev_loop *loop;
	pid_t pid;
	int pidfd;
	int report_fd; /* the child writes its struct error, if any */
	int timeout_ms;
	bool ended;
	enum error_code killed_for; /* ERROR_NONE: not killed by us */
	ev_io on_exit;
	ev_timer on_deadline;
	done_fn *done;
	void *ctx;
};

static int child_prepare(pid_t parent, int report_fd)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		return -1;
	if (report_fd != REPORT_FD && dup3(report_fd, REPORT_FD, O_CLOEXEC) < 0)
		return -1;
	return close_range(REPORT_FD + 1, ~0U, 0);
}

static _Noreturn void child_main(pid_t parent, int report_fd, errand_fn *work, void *ctx)
{
	struct error err = { 0 };

	if (child_prepare(parent, report_fd) < 0)
		error_errno(&err, "prepare a child process");
	else if (work(ctx, &err) == 0)
		_exit(0);
	if (write(REPORT_FD, &err, sizeof(err)) != sizeof(err))
		_exit(2);
	_exit(1);
}

/* The child's error, or how it has ended if it left none. */
static void read_report(struct errand *errand, int status, struct error *err)
{
	char how[100];

	if (read(errand->report_fd, err, sizeof(*err)) == sizeof(*err)) {
		err->text[sizeof(err->text) - 1] = '\0';
		return;
	}
	proc_describe(status, how, sizeof(how));
	error_set(err, ERROR_INTERNAL, "a child process %s", how);
}

static void finish(struct errand *errand, const struct error *err)
{
	ev_io_stop(errand->loop, &errand->on_exit);
	ev_timer_stop(errand->loop, &errand->on_deadline);
	errand->done(errand->ctx, err);
}

static void finish_killed(struct errand *errand)
{
	struct error err;

	if (errand->killed_for == ERROR_CANCELED)
		error_set(&err, ERROR_CANCELED, "canceled");
	else
		error_set(&err, ERROR_DEADLINE_EXCEEDED, "not done within %d ms",
		          errand->timeout_ms);
	finish(errand, &err);
}

static void kill_child(struct errand *errand, enum error_code why)
{
	errand->killed_for = why;
	pidfd_send_signal(errand->pidfd, SIGKILL, NULL, 0);
	ev_timer_stop(errand->loop, &errand->on_deadline);
	ev_timer_set(&errand->on_deadline, ERRAND_GRACE_MS / 1000.0, 0);
	ev_timer_start(errand->loop, &errand->on_deadline);
}

static void exited(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct errand *errand = watcher->data;
	struct error err;
	int status;

	if (waitpid(errand->pid, &status, WNOHANG) != errand->pid)
		return;
	errand->ended = true;
	if (errand->killed_for != ERROR_NONE) {
		finish_killed(errand);
		return;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		finish(errand, NULL);
		return;
	}
	read_report(errand, status, &err);
	finish(errand, &err);
}

static void deadline(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct errand *errand = watcher->data;

	if (errand->killed_for == ERROR_NONE)
		kill_child(errand, ERROR_DEADLINE_EXCEEDED);
	else
		finish_killed(errand);
}

static struct errand *errand_new(struct ev_loop *loop, int timeout_ms, done_fn *done, void *ctx)
{
	struct errand *errand = mem_new(struct errand);

	errand->loop = loop;
	errand->pidfd = -1;
	errand->report_fd = -1;
	errand->timeout_ms = timeout_ms;
	errand->done = done;
	errand->ctx = ctx;
	errand->ended = true; /* no child yet */
	ev_init(&errand->on_exit, exited);
	ev_set_priority(&errand->on_exit, 1); /* an end that is there wins over the deadline */
	ev_timer_init(&errand->on_deadline, deadline, timeout_ms / 1000.0, 0);
	errand->on_exit.data = errand;
	errand->on_deadline.data = errand;
	return errand;
}

static int errand_fork(struct errand *errand, errand_fn *work, void *work_ctx, struct error *err)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, "make a pipe");
	errand->report_fd = ends[0];
	errand->pid = fork();
	if (errand->pid == 0)
		child_main(parent, ends[1], work, work_ctx);
	close(ends[1]);
	if (errand->pid < 0)
		return error_errno(err, "fork");
	errand->ended = false;
	errand->pidfd = pidfd_open(errand->pid, 0);
	return errand->pidfd < 0 ? error_errno(err, "open a pidfd") : 0;
}

int errand_start(struct ev_loop *loop, errand_fn *work, void *work_ctx, int timeout_ms,
                 done_fn *done, void *ctx, struct errand **out, struct error *err)
{
	autodestroy(errand) struct errand *errand = errand_new(loop, timeout_ms, done, ctx);
	int r = errand_fork(errand, work, work_ctx, err);

	if (r < 0)
		return r;
	ev_io_set(&errand->on_exit, errand->pidfd, EV_READ);
	ev_io_start(loop, &errand->on_exit);
	ev_now_update(loop); /* forking takes its time */
	ev_timer_start(loop, &errand->on_deadline);
	*out = take_ptr(&errand);
	return 0;
}

void errand_cancel(struct errand *errand)
{
	if (!errand->ended)
		kill_child(errand, ERROR_CANCELED);
}

void errand_destroy(struct errand *errand)
{
	if (!errand)
		return;
	ev_io_stop(errand->loop, &errand->on_exit);
	ev_timer_stop(errand->loop, &errand->on_deadline);
	if (!errand->ended && errand->pidfd >= 0) {
		pidfd_send_signal(errand->pidfd, SIGKILL, NULL, 0);
		reaper_take(errand->loop, errand->pid, take_fd(&errand->pidfd), true);
	}
	if (errand->pidfd >= 0)
		close(errand->pidfd);
	if (errand->report_fd >= 0)
		close(errand->report_fd);
	free(errand);
}
