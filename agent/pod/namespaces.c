#include "agent/pod/namespaces.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/launch/namespaces.h"
#include "agent/launch/pause.h"
#include "common/error.h"
#include "common/log.h"
#include "common/loop/reaper.h"
#include "common/mem.h"

enum pause_state {       /* what is legal: */
	PAUSE_NONE,      /* it may be made */
	PAUSE_PREPARING, /* joins wait for its report, or for the deadline */
	PAUSE_READY,     /* containers enter its namespace, until it ends */
};

struct pod_namespaces {
	struct ev_loop *loop;
	enum pause_state state;
	pid_t pause; /* 0: none */
	int pidfd;
	int report_fd;
	ev_io report;
	ev_timer deadline;
	ev_io exited;
	LIST_HEAD(, pod_namespaces_join) joins;
};

static void set_state(struct pod_namespaces *namespaces, enum pause_state state)
{
	static const char *const names[] = { "none", "preparing", "ready" };

	log_debug("pause process pid=%d state=%s", namespaces->pause, names[state]);
	namespaces->state = state;
}

static void stop_watching(struct pod_namespaces *namespaces)
{
	ev_io_stop(namespaces->loop, &namespaces->report);
	ev_io_stop(namespaces->loop, &namespaces->exited);
	ev_timer_stop(namespaces->loop, &namespaces->deadline);
	cleanup_close(&namespaces->report_fd);
}

static void kill_pause(struct pod_namespaces *namespaces)
{
	stop_watching(namespaces);
	pidfd_send_signal(namespaces->pidfd, SIGKILL, NULL, 0);
	reaper_take(namespaces->loop, namespaces->pidfd, true);
	namespaces->pidfd = -1;
	namespaces->pause = 0;
	set_state(namespaces, PAUSE_NONE);
}

static bool has_ended(int pidfd)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return poll(&end, 1, 0) > 0;
}

static void reap_pause(struct pod_namespaces *namespaces)
{
	int status;

	reaper_try(namespaces->pidfd, &status);
	log_error("the pod's pid namespace has ended, and all that was in it pid=%d",
	          namespaces->pause);
	stop_watching(namespaces);
	cleanup_close(&namespaces->pidfd);
	namespaces->pause = 0;
	set_state(namespaces, PAUSE_NONE);
}

static void on_exited(struct ev_loop *loop, ev_io *watcher, int events)
{
	reap_pause(watcher->data);
}

/* The callee has it then. */
static int open_for(struct pod_namespaces *namespaces, struct pod_namespaces_join *join,
                    struct error *err)
{
	int fd = namespaces_open_pid(namespaces->pause, namespaces->pidfd, err);

	if (fd < 0)
		return error_wrap(err, "cannot join the pod's pid namespace");
	join->pid_namespace = fd;
	return 0;
}

/* All that wait go on, or fail. */
static void tell(struct pod_namespaces *namespaces, const struct error *err)
{
	enum pause_state state = namespaces->state;
	struct pod_namespaces_join *join;
	struct error cause;

	while (namespaces->state == state && (join = LIST_FIRST(&namespaces->joins))) {
		pod_namespaces_leave(join);
		if (!err && open_for(namespaces, join, &cause) < 0)
			join->done(join->ctx, &cause);
		else
			join->done(join->ctx, err);
	}
}

static void fail(struct pod_namespaces *namespaces, struct error *err)
{
	error_wrap(err, "cannot make the pod's pid namespace");
	kill_pause(namespaces);
	tell(namespaces, err);
}

/* No container may meet it before it has nothing that is worth having. */
static void on_report(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct pod_namespaces *namespaces = watcher->data;
	struct error cause;
	struct error err;

	if (read(namespaces->report_fd, &cause, sizeof(cause)) != sizeof(cause)) {
		error_set(&err, ERROR_ABORTED, "the pause process died");
		fail(namespaces, &err);
		return;
	}
	cause.text[sizeof(cause.text) - 1] = '\0';
	if (cause.code) {
		fail(namespaces, &cause);
		return;
	}
	stop_watching(namespaces);
	ev_io_set(&namespaces->exited, namespaces->pidfd, EV_READ);
	ev_io_start(loop, &namespaces->exited);
	set_state(namespaces, PAUSE_READY);
	tell(namespaces, NULL);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct error err;

	error_set(&err, ERROR_DEADLINE_EXCEEDED, "not ready within %d ms",
	          POD_NAMESPACES_TIMEOUT_MS);
	fail(watcher->data, &err);
}

struct pod_namespaces *pod_namespaces_create(struct ev_loop *loop)
{
	struct pod_namespaces *namespaces = mem_new(struct pod_namespaces);

	namespaces->loop = loop;
	namespaces->pidfd = -1;
	namespaces->report_fd = -1;
	LIST_INIT(&namespaces->joins);
	ev_io_init(&namespaces->report, on_report, -1, EV_READ);
	ev_io_init(&namespaces->exited, on_exited, -1, EV_READ);
	ev_timer_init(&namespaces->deadline, on_deadline, POD_NAMESPACES_TIMEOUT_MS / 1e3, 0);
	namespaces->report.data = namespaces->exited.data = namespaces->deadline.data = namespaces;
	return namespaces;
}

void pod_namespaces_destroy(struct pod_namespaces *namespaces)
{
	if (!namespaces)
		return;
	if (namespaces->pause)
		kill_pause(namespaces);
	free(namespaces);
}

/* In the child, after clone3(2). */
static void __attribute__((noreturn)) become_pause(int ready)
{
	static char *const argv[] = { "kata-agent", PAUSE_ARGUMENT, NULL };
	static char *const envp[] = { NULL };
	sigset_t none;

	dup2(ready, PAUSE_READY_FD);
	syscall(SYS_close_range, PAUSE_READY_FD + 1, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve("/proc/self/exe", argv, envp);
	_exit(127);
}

static pid_t clone_pause(int ready, int *pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS,
		.pidfd = (uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		become_pause(ready);
	return pid;
}

static int start_pause(struct pod_namespaces *namespaces, struct error *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	pid = clone_pause(ends[1], &namespaces->pidfd);
	if (pid < 0)
		error_errno(err, "cannot clone a process");
	close(ends[1]); /* its end is to be seen */
	if (pid < 0) {
		close(ends[0]);
		return error_wrap(err, "cannot make the pod's pid namespace");
	}
	namespaces->pause = pid;
	namespaces->report_fd = ends[0];
	ev_io_set(&namespaces->report, ends[0], EV_READ);
	ev_io_start(namespaces->loop, &namespaces->report);
	ev_now_update(namespaces->loop); /* cloning takes its time */
	ev_timer_set(&namespaces->deadline, POD_NAMESPACES_TIMEOUT_MS / 1e3, 0);
	ev_timer_start(namespaces->loop, &namespaces->deadline);
	set_state(namespaces, PAUSE_PREPARING);
	return 0;
}

static int make_pause(struct pod_namespaces *namespaces, struct error *err)
{
	if (namespaces->state == PAUSE_READY && has_ended(namespaces->pidfd))
		reap_pause(namespaces);
	return namespaces->state == PAUSE_NONE ? start_pause(namespaces, err) : 0;
}

void pod_namespaces_prepare(struct pod_namespaces *namespaces)
{
	struct error err;

	if (make_pause(namespaces, &err) < 0)
		log_warn("the first container tries again cause=\"%s\"", err.text);
}

int pod_namespaces_join_pid(struct pod_namespaces *namespaces, struct pod_namespaces_join *join,
                            struct error *err)
{
	int r;

	join->pid_namespace = -1;
	r = make_pause(namespaces, err);
	if (r == 0 && namespaces->state == PAUSE_READY)
		r = open_for(namespaces, join, err);
	if (r < 0)
		return r;
	if (join->pid_namespace >= 0) {
		join->done(join->ctx, NULL);
		return 0;
	}
	LIST_INSERT_HEAD(&namespaces->joins, join, link);
	join->waits = true;
	return 0;
}

void pod_namespaces_leave(struct pod_namespaces_join *join)
{
	if (join->waits)
		LIST_REMOVE(join, link);
	join->waits = false;
}

pid_t pod_namespaces_pause(const struct pod_namespaces *namespaces)
{
	return namespaces->pause;
}
