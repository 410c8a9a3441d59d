#include "common/loop/proc.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/loop/proc_internal.h"
#include "common/loop/reaper.h"
#include "common/mem.h"

struct proc {
	struct ev_loop *loop;
	pid_t pid;
	int pidfd;
	bool killed; /* SIGKILL has been sent */
	bool reaped;
	bool told; /* on_exit has been called */
	ev_io watcher;
	ev_timer grace; /* since SIGKILL */
	/* Of the start, until it has been reported. */
	char *subject;
	int report_fd; /* -1: it has been */
	ev_io report;
	ev_timer start_deadline;
	done_fn *on_started;
	proc_exit_fn *on_exit;
	void *ctx;
};

static const char *subject(const struct proc_spec *spec)
{
	if (spec->main)
		return "a child process";
	return spec->path ? spec->path : spec->argv[0];
}

/* An exec can wait for a file system that does not answer. */
static bool report_comes(int fd)
{
	struct pollfd report = { .fd = fd, .events = POLLIN };
	int r;

	do
		r = poll(&report, 1, PROC_START_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

static int fail_late(const struct proc *proc, struct error *err)
{
	return error_set(err, ERROR_DEADLINE_EXCEEDED, "cannot start \"%s\": not within %d ms",
	                 proc->subject, PROC_START_TIMEOUT_MS);
}

/* The child has executed, or says what failed. */
static int take_report(struct proc *proc, struct error *err)
{
	autoclose int report_fd = take_fd(&proc->report_fd);
	struct proc_failure failure;
	ssize_t n;

	do
		n = read(report_fd, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != sizeof(failure))
		return error_errno(err, "cannot start \"%s\": cannot read the child's report",
		                   proc->subject);
	errno = failure.cause;
	return error_errno(err, "cannot %s \"%s\"", failure.step, proc->subject);
}

static void stop_waiting_for_start(struct proc *proc)
{
	ev_io_stop(proc->loop, &proc->report);
	ev_timer_stop(proc->loop, &proc->start_deadline);
}

/* Its last act is the callback, which may destroy @proc. */
static void report_exit(struct proc *proc, int status)
{
	proc->told = true;
	stop_waiting_for_start(proc);
	ev_io_stop(proc->loop, &proc->watcher);
	ev_timer_stop(proc->loop, &proc->grace);
	if (proc->on_exit)
		proc->on_exit(proc->ctx, status);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct proc *proc = watcher->data;
	int status;

	if (!reaper_try(proc->pidfd, &status))
		return;
	proc->reaped = true;
	report_exit(proc, status);
}

static void on_grace_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	report_exit(timer->data, PROC_STUCK);
}

/* The last act of both is the callback. */
static void on_report(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct proc *proc = watcher->data;
	struct error err;
	int r;

	stop_waiting_for_start(proc);
	r = take_report(proc, &err);
	if (r == 0)
		ev_io_start(loop, &proc->watcher);
	proc->on_started(proc->ctx, r < 0 ? &err : NULL);
}

static void on_start_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct proc *proc = timer->data;
	struct error err;

	stop_waiting_for_start(proc);
	fail_late(proc, &err);
	proc->on_started(proc->ctx, &err);
}

static struct proc *proc_new(struct ev_loop *loop, const struct proc_spec *spec)
{
	struct proc *proc = mem_new(struct proc);

	proc->loop = loop;
	proc->subject = mem_strdup(subject(spec));
	proc->report_fd = -1;
	ev_io_init(&proc->watcher, on_readable, -1, EV_READ);
	ev_set_priority(&proc->watcher,
	                EV_MAXPRI); /* an end that is there wins over the deadline for it */
	ev_io_init(&proc->report, on_report, -1, EV_READ);
	ev_set_priority(&proc->report, EV_MAXPRI);
	ev_timer_init(&proc->grace, on_grace_over, PROC_KILL_GRACE_MS / 1e3, 0);
	ev_timer_init(&proc->start_deadline, on_start_deadline, PROC_START_TIMEOUT_MS / 1e3, 0);
	proc->watcher.data = proc->grace.data = proc;
	proc->report.data = proc->start_deadline.data = proc;
	return proc;
}

/* As fork(), with flags, for which glibc has no function. The pidfd comes with the child: there is
 * no child that nobody can watch. */
static pid_t fork_child(const struct proc_spec *spec, int *pidfd)
{
	unsigned long flags = SIGCHLD | CLONE_PIDFD | (spec->own_pids ? CLONE_NEWPID : 0);

	return (pid_t)syscall(SYS_clone, flags, NULL, pidfd, NULL, 0);
}

/* Neither its start nor its end is watched yet. */
static int proc_fork(struct ev_loop *loop, const struct proc_spec *spec, struct proc **out,
                     struct error *err)
{
	autoclose int report_fd = -1;
	int ends[2], pidfd, r;
	struct proc *proc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "cannot start \"%s\": cannot make a pipe", subject(spec));
	report_fd = ends[0];
	pid = fork_child(spec, &pidfd);
	if (pid == 0) {
		close(ends[0]);
		proc_child(spec, ends[1]);
	}
	r = pid < 0 ? error_errno(err, "cannot start \"%s\": cannot fork", subject(spec)) : 0;
	close(ends[1]);
	if (r < 0)
		return r;
	proc = proc_new(loop, spec);
	proc->pid = pid;
	proc->pidfd = pidfd;
	ev_io_set(&proc->watcher, pidfd, EV_READ);
	ev_io_set(&proc->report, report_fd, EV_READ);
	proc->report_fd = take_fd(&report_fd);
	*out = proc;
	return 0;
}

int proc_spawn(struct ev_loop *loop, const struct proc_spec *spec, proc_exit_fn *on_exit, void *ctx,
               struct proc **out, struct error *err)
{
	autodestroy(proc) struct proc *proc = NULL;
	int r = proc_fork(loop, spec, &proc, err);

	if (r < 0)
		return r;
	assert(proc);
	r = report_comes(proc->report_fd) ? take_report(proc, err) : fail_late(proc, err);
	if (r < 0)
		return r;
	ev_io_start(loop, &proc->watcher);
	proc->on_exit = on_exit;
	proc->ctx = ctx;
	*out = take_ptr(&proc);
	return 0;
}

int proc_start(struct ev_loop *loop, const struct proc_spec *spec, done_fn *on_started,
               proc_exit_fn *on_exit, void *ctx, struct proc **out, struct error *err)
{
	struct proc *proc = NULL;
	int r = proc_fork(loop, spec, &proc, err);

	if (r < 0)
		return r;
	assert(proc);
	proc->on_started = on_started;
	proc->on_exit = on_exit;
	proc->ctx = ctx;
	ev_io_start(loop, &proc->report);
	ev_now_update(loop); /* forking takes its time */
	ev_timer_start(loop, &proc->start_deadline);
	*out = proc;
	return 0;
}

pid_t proc_pid(const struct proc *proc)
{
	return proc->pid;
}

int proc_kill(struct proc *proc, int sig)
{
	if (proc->told)
		return -ESRCH;
	if (sig == SIGKILL && !proc->killed) {
		proc->killed = true;
		ev_now_update(proc->loop);
		ev_timer_start(proc->loop, &proc->grace);
	}
	return pidfd_send_signal(proc->pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

bool proc_ended(const struct proc *proc)
{
	return proc->told;
}

void proc_release(struct proc *proc)
{
	if (!proc)
		return;
	stop_waiting_for_start(proc);
	ev_io_stop(proc->loop, &proc->watcher);
	ev_timer_stop(proc->loop, &proc->grace);
	cleanup_close(&proc->report_fd);
	if (proc->reaped)
		close(proc->pidfd);
	else
		reaper_take(proc->loop, proc->pidfd, proc->killed);
	free(proc->subject);
	free(proc);
}

void proc_destroy(struct proc *proc)
{
	if (proc)
		proc_kill(proc, SIGKILL);
	proc_release(proc);
}

void proc_describe(int status, char *text, size_t size)
{
	if (status == PROC_STUCK)
		snprintf(text, size, "did not end within %d ms of SIGKILL", PROC_KILL_GRACE_MS);
	else if (status == PROC_UNKNOWN)
		snprintf(text, size, "ended, and another reaped it");
	else if (WIFSIGNALED(status))
		snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status),
		         strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "exited with status %d", WEXITSTATUS(status));
}
