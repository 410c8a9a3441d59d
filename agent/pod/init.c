#include "agent/pod/init.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/launch/init_wire.h"
#include "agent/launch/namespaces.h"
#include "agent/pod/spec_check.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/container_init.pb-c.h"
#include "proto/message.h"

#define ABOVE_INIT_FDS 64 /* where descriptors wait before they are put in their places */

enum init_state {      /* what may come next: */
	INIT_CREATING, /* READY, FAILED, end of file (it died) */
	INIT_CREATED,  /* init_run(); end of file (it was killed) */
	INIT_RUNNING,  /* FAILED, end of file (execve) */
	INIT_ENDED,    /* nothing */
};

struct init {
	struct ev_loop *loop;
	ev_io watch; /* of the socket */
	int socket;
	int pidfd;
	int seccomp; /* the container's compiled profile, for execs; -1: it has none */
	pid_t pid;
	enum init_state state;
	init_created_fn *on_created;
	done_fn *on_run;
	void *created_ctx;
	void *run_ctx;
};

static void set_state(struct init *init, enum init_state state)
{
	static const char *const names[] = { "creating", "created", "running", "ended" };

	log_debug("container process pid=%d state=%s", init->pid, names[state]);
	init->state = state;
	if (state == INIT_ENDED)
		ev_io_stop(init->loop, &init->watch);
}

static int ended(struct error *err)
{
	return error_set(err, ERROR_FAILED_PRECONDITION, "the container's process has ended");
}

static void kill_child(const struct init *init)
{
	syscall(SYS_pidfd_send_signal, init->pidfd, SIGKILL, NULL, 0);
}

/* The child may be traced by a privileged container by now: its words are checked, not believed. */
static void describe(struct init_message *message, struct error *err)
{
	int code = message->code;

	message->step[sizeof(message->step) - 1] = '\0';
	message->text[sizeof(message->text) - 1] = '\0';
	if (code <= ERROR_NONE || code > ERROR_UNAUTHENTICATED)
		code = ERROR_UNKNOWN;
	error_set(err, code, "%s", message->text);
	if (*message->step)
		error_wrap(err, "%s", message->step);
}

static void fail(struct init *init, const struct error *err)
{
	enum init_state state = init->state;

	set_state(init, INIT_ENDED);
	kill_child(init);
	if (state == INIT_CREATING)
		init->on_created(init->created_ctx, -1, err);
	else if (state == INIT_RUNNING)
		init->on_run(init->run_ctx, err);
}

static void at_end(struct init *init)
{
	struct error err;

	if (init->state == INIT_RUNNING) {
		set_state(init, INIT_ENDED);
		init->on_run(init->run_ctx, NULL);
		return;
	}
	error_set(&err, ERROR_ABORTED,
	          "the container's process died before it could run (killed, or out of memory)");
	fail(init, &err);
}

static void on_readable(struct ev_loop *loop, ev_io *watch, int events)
{
	struct init *init = watch->data;
	struct init_message message;
	struct error err;
	autoclose int fd = -1;
	ssize_t n = init_wire_receive(init->socket, &message, &fd);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		at_end(init);
	} else if (n == sizeof(message) && message.kind == INIT_READY &&
	           init->state == INIT_CREATING) {
		set_state(init, INIT_CREATED);
		init->on_created(init->created_ctx, take_fd(&fd), NULL);
	} else if (n == sizeof(message) && message.kind == INIT_FAILED) {
		describe(&message, &err);
		fail(init, &err);
	} else {
		error_set(&err, ERROR_INTERNAL, "the container's process sent nonsense");
		fail(init, &err);
	}
}

/* The request in a memfd, to be read from its start. */
static int make_request(const struct init_config *config, struct error *err)
{
	ContainerInit__Request request = CONTAINER_INIT__REQUEST__INIT;
	autoclose int fd = memfd_create(INIT_ARGUMENT, MFD_CLOEXEC);
	ProtobufCBinaryData data;
	ssize_t n;

	if (fd < 0)
		return error_errno(err, "memfd_create");
	request.id = (char *)config->id;
	request.rootfs = (char *)config->rootfs;
	request.spec = (Grpc__Spec *)config->spec;
	request.process = (Grpc__Process *)config->process;
	request.join = config->join != NULL;
	data = message_encode(&request.base);
	n = pwrite(fd, data.data, data.len, 0);
	free(data.data);
	if (n < 0 || (size_t)n != data.len)
		return error_errno(err, "write the request");
	return take_fd(&fd);
}

/* In the child, after clone3(2): descriptors to their places, then this executable again. */
static void become_child(const int fds[INIT_FD_END])
{
	static char *const argv[] = { "kata-agent", INIT_ARGUMENT, NULL };
	static char *const envp[] = { NULL };
	sigset_t none;
	int moved[INIT_FD_END];
	int i;

	for (i = 0; i < INIT_FD_END; i++)
		moved[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, ABOVE_INIT_FDS);
	for (i = 0; i < INIT_FD_END; i++) {
		if (moved[i] >= 0)
			dup2(moved[i], i);
		else
			close(i);
	}
	syscall(SYS_close_range, INIT_FD_END, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve("/proc/self/exe", argv, envp);
	_exit(127);
}

/* The namespace that clone3(2) puts children in; -1 and 0: the agent's own. */
static int open_pid_namespace(const struct init_config *config, int *fd, struct error *err)
{
	const char *path = namespaces_pid_path(config->spec);

	*fd = -1;
	if (config->join)
		*fd = fcntl(config->join->pidfd, F_DUPFD_CLOEXEC, 0);
	else if (path)
		*fd = open(path, O_RDONLY | O_CLOEXEC);
	else
		return 0;
	return *fd < 0 ? error_errno(err, "open the pid namespace") : 0;
}

/* A pid namespace is entered by children only; the agent itself never leaves its own. */
static int clone_into(int pid_namespace, struct clone_args *args, struct error *err)
{
	autoclose int own = -1;
	pid_t pid;

	if (pid_namespace < 0) {
		pid = syscall(SYS_clone3, args, sizeof(*args));
		return pid < 0 ? error_errno(err, "clone the container's process") : pid;
	}
	own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return error_errno(err, "open '/proc/self/ns/pid'");
	if (setns(pid_namespace, CLONE_NEWPID) < 0)
		return errno == ESRCH ? ended(err) : error_errno(err, "join the pid namespace");
	pid = syscall(SYS_clone3, args, sizeof(*args));
	if (pid == 0)
		return 0;
	if (pid < 0)
		pid = errno == ENOMEM ? ended(err) /* the namespace's init is gone: clone(2) */
		                      : error_errno(err, "clone into the pid namespace");
	if (setns(own, CLONE_NEWPID) < 0)
		abort(); /* every later container would be in this one */
	return pid;
}

static int clone_child(struct init *init, const struct init_config *config,
                       const int fds[INIT_FD_END], struct error *err)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
		.pidfd = (uintptr_t)&init->pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = config->cgroup_fd,
	};
	autoclose int pid_namespace = -1;
	int r = open_pid_namespace(config, &pid_namespace, err);

	if (r < 0)
		return r;
	if (!config->join)
		args.flags |= namespaces_clone_flags(config->spec);
	r = clone_into(pid_namespace, &args, err);
	if (r == 0)
		become_child(fds);
	if (r < 0)
		return r;
	init->pid = r;
	return 0;
}

static int start(struct init *init, const struct init_config *config, struct error *err)
{
	autoclose int request = make_request(config, err);
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	autoclose int theirs = -1;
	int fds[INIT_FD_END];
	int pair[2];
	int i;

	if (request < 0)
		return request;
	if (!config->join && config->spec->linux->seccomp) {
		init->seccomp = memfd_create("seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (init->seccomp < 0)
			return error_errno(err, "memfd_create");
	}
	if (null < 0)
		return error_errno(err, "open '/dev/null'");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "make a socket pair");
	init->socket = pair[0];
	theirs = pair[1];
	for (i = 0; i < 3; i++)
		fds[i] =
			config->stdio[i] < 0 || config->process->terminal ? null : config->stdio[i];
	fds[INIT_FD_REQUEST] = request;
	fds[INIT_FD_SOCKET] = theirs;
	fds[INIT_FD_JOIN] = config->join ? config->join->pidfd : -1;
	fds[INIT_FD_SECCOMP] = config->join ? config->join->seccomp : init->seccomp;
	return clone_child(init, config, fds, err);
}

int init_create(struct ev_loop *loop, const struct init_config *config, init_created_fn *on_created,
                void *ctx, struct init **out, struct error *err)
{
	autodestroy(init) struct init *init = mem_new(struct init);
	int r;

	init->loop = loop;
	init->socket = -1;
	init->pidfd = -1;
	init->seccomp = -1;
	init->on_created = on_created;
	init->created_ctx = ctx;
	ev_io_init(&init->watch, on_readable, -1, EV_READ);
	r = spec_check(config->spec, err);
	if (r == 0)
		r = spec_check_process(config->process, err);
	if (r == 0)
		r = start(init, config, err);
	if (r < 0)
		return r;
	ev_io_set(&init->watch, init->socket, EV_READ);
	init->watch.data = init;
	ev_io_start(loop, &init->watch);
	*out = take_ptr(&init);
	return 0;
}

int init_run(struct init *init, done_fn *done, void *ctx, struct error *err)
{
	if (init->state == INIT_ENDED)
		return ended(err);
	if (init->state != INIT_CREATED)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "the container's process was started already");
	if (send(init->socket, "", 1, MSG_NOSIGNAL) < 0)
		return error_errno(err, "start the container's process");
	init->on_run = done;
	init->run_ctx = ctx;
	set_state(init, INIT_RUNNING);
	return 0;
}

pid_t init_pid(const struct init *init)
{
	return init->pid;
}

int init_pidfd(const struct init *init)
{
	return init->pidfd;
}

void init_destroy(struct init *init)
{
	if (!init)
		return;
	ev_io_stop(init->loop, &init->watch);
	/* Before execve it dies; afterwards the state is ENDED and the process goes its way. */
	if (init->pidfd >= 0 && init->state != INIT_ENDED)
		kill_child(init);
	if (init->socket >= 0)
		close(init->socket);
	if (init->pidfd >= 0)
		close(init->pidfd);
	if (init->seccomp >= 0)
		close(init->seccomp);
	free(init);
}
