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

struct pod_namespaces {
	struct ev_loop *loop;
	pid_t pause; /* 0: none */
	int pidfd;
	ev_io exited;
};

static void forget(struct pod_namespaces *namespaces)
{
	ev_io_stop(namespaces->loop, &namespaces->exited);
	close(namespaces->pidfd);
	namespaces->pidfd = -1;
	namespaces->pause = 0;
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
	forget(namespaces);
}

static void on_exited(struct ev_loop *loop, ev_io *watcher, int events)
{
	reap_pause(watcher->data);
}

struct pod_namespaces *pod_namespaces_create(struct ev_loop *loop)
{
	struct pod_namespaces *namespaces = mem_new(struct pod_namespaces);

	namespaces->loop = loop;
	namespaces->pidfd = -1;
	ev_io_init(&namespaces->exited, on_exited, -1, EV_READ);
	namespaces->exited.data = namespaces;
	return namespaces;
}

void pod_namespaces_destroy(struct pod_namespaces *namespaces)
{
	if (!namespaces)
		return;
	if (namespaces->pause) {
		pidfd_send_signal(namespaces->pidfd, SIGKILL, NULL, 0);
		ev_io_stop(namespaces->loop, &namespaces->exited);
		reaper_take(namespaces->loop, namespaces->pidfd, true);
	}
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

/* No container may meet it before it has nothing that is worth having. */
static int await_ready(int fd, struct error *err)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	struct error cause;
	int r;

	do
		r = poll(&ready, 1, POD_NAMESPACES_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "not ready within %d ms",
		                 POD_NAMESPACES_TIMEOUT_MS);
	if (read(fd, &cause, sizeof(cause)) != sizeof(cause))
		return error_set(err, ERROR_ABORTED, "the pause process died");
	if (!cause.code)
		return 0;
	cause.text[sizeof(cause.text) - 1] = '\0';
	return error_set(err, cause.code, "%s", cause.text);
}

static int start_pause(struct pod_namespaces *namespaces, struct error *err)
{
	autoclose int ready = -1;
	autoclose int theirs = -1;
	int ends[2];
	pid_t pid;
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	ready = ends[0];
	theirs = ends[1];
	pid = clone_pause(theirs, &namespaces->pidfd);
	if (pid < 0)
		return error_errno(err, "cannot clone a process");
	namespaces->pause = pid;
	close(take_fd(&theirs)); /* its end is to be seen */
	r = await_ready(ready, err);
	if (r < 0) {
		pidfd_send_signal(namespaces->pidfd, SIGKILL, NULL, 0);
		reaper_take(namespaces->loop, namespaces->pidfd, true);
		namespaces->pause = 0;
		return r;
	}
	log_debug("pause process pid=%d", pid);
	ev_io_set(&namespaces->exited, namespaces->pidfd, EV_READ);
	ev_io_start(namespaces->loop, &namespaces->exited);
	return 0;
}

static void add_pid_namespace(Grpc__Linux *config, pid_t pause)
{
	Grpc__LinuxNamespace *row = mem_new(Grpc__LinuxNamespace);

	grpc__linux_namespace__init(row);
	row->type = mem_strdup("pid");
	row->path = mem_printf("/proc/%d/ns/pid", pause);
	config->namespaces =
		mem_realloc(config->namespaces, (config->n_namespaces + 1) * sizeof(void *));
	config->namespaces[config->n_namespaces++] = row;
}

int pod_namespaces_complete(struct pod_namespaces *namespaces, Grpc__Spec *spec, struct error *err)
{
	int r;

	if (!spec->linux || namespaces_has(spec, NAMESPACE_PID))
		return 0;
	if (namespaces->pause && has_ended(namespaces->pidfd))
		reap_pause(namespaces);
	if (!namespaces->pause) {
		r = start_pause(namespaces, err);
		if (r < 0)
			return error_wrap(err, "cannot make the pod's pid namespace");
	}
	add_pid_namespace(spec->linux, namespaces->pause);
	return 0;
}

pid_t pod_namespaces_pause(const struct pod_namespaces *namespaces)
{
	return namespaces->pause;
}
