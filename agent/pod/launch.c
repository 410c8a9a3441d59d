#include "agent/pod/launch.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launch/caps.h"
#include "agent/launch/console.h"
#include "agent/launch/launch_wire.h"
#include "agent/launch/namespaces.h"
#include "agent/pod/spec_check.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/launch.pb-c.h"
#include "proto/message.h"

#define ABOVE_LAUNCH_FDS 64 /* where descriptors wait before they are put in their places */

enum launch_state {      /* what may come next: */
	LAUNCH_CREATING, /* CONSOLE, READY, FAILED, end of file (it died) */
	LAUNCH_CREATED,  /* launch_run(); end of file (it was killed) */
	LAUNCH_RUNNING,  /* FAILED, end of file (execve) */
	LAUNCH_ENDED,    /* nothing */
};

struct launch {
	struct ev_loop *loop;
	ev_io watch; /* of the socket */
	int socket;
	bool enters_late; /* its pid namespace: READY comes from another process than was cloned */
	bool terminal;    /* was asked for */
	int console;      /* the pty's master, until launch_created_fn has it */
	int pidfd;
	int seccomp; /* the container's compiled profile, for execs; -1: it has none */
	pid_t pid;   /* of the child that was cloned; from READY on, of the process */
	enum launch_state state;
	launch_created_fn *on_created;
	done_fn *on_run;
	void *created_ctx;
	void *run_ctx;
};

static void set_state(struct launch *launch, enum launch_state state)
{
	static const char *const names[] = { "creating", "created", "running", "ended" };

	log_debug("container process pid=%d state=%s", launch->pid, names[state]);
	launch->state = state;
	if (state == LAUNCH_ENDED)
		ev_io_stop(launch->loop, &launch->watch);
}

static int refuse_ended(struct error *err)
{
	return error_set(err, ERROR_FAILED_PRECONDITION, "the container's process has ended");
}

static int report_early_death(struct error *err)
{
	return error_set(err, ERROR_ABORTED,
	                 "the container's process died before it could run (killed, or out of "
	                 "memory)");
}

static bool has_ended(const struct launch *launch)
{
	struct pollfd pidfd = { .fd = launch->pidfd, .events = POLLIN };

	return poll(&pidfd, 1, 0) > 0;
}

static void kill_child(const struct launch *launch)
{
	syscall(SYS_pidfd_send_signal, launch->pidfd, SIGKILL, NULL, 0);
}

/* The child may be traced by a privileged container by now: its words are checked, not believed. */
static void describe(struct launch_message *message, struct error *err)
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

static void fail(struct launch *launch, const struct error *err)
{
	enum launch_state state = launch->state;

	set_state(launch, LAUNCH_ENDED);
	kill_child(launch);
	if (state == LAUNCH_CREATING)
		launch->on_created(launch->created_ctx, -1, err);
	else if (state == LAUNCH_RUNNING)
		launch->on_run(launch->run_ctx, err);
}

static void at_end(struct launch *launch)
{
	struct error err;

	if (launch->state == LAUNCH_RUNNING) {
		set_state(launch, LAUNCH_ENDED);
		launch->on_run(launch->run_ctx, NULL);
		return;
	}
	report_early_death(&err);
	fail(launch, &err);
}

static bool take_console(struct launch *launch, struct launch_received *received)
{
	if (launch->state != LAUNCH_CREATING || !launch->terminal || launch->console >= 0 ||
	    received->pid != launch->pid || !console_is_master(received->fd))
		return false;
	launch->console = take_fd(&received->fd);
	return true;
}

/*
 * The process is there: whoever sent READY, as the kernel says. It may have died since, and even
 * have been reaped by the loop: then it is no child any more, and its number somebody else's.
 */
static int adopt(struct launch *launch, pid_t pid, struct error *err)
{
	siginfo_t info;
	int pidfd;

	if (waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return report_early_death(err);
	if (pid == launch->pid)
		return 0;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return error_errno(err, "cannot open the container's process");
	close(launch->pidfd);
	launch->pidfd = pidfd;
	launch->pid = pid;
	return 0;
}

static bool take_ready(struct launch *launch, pid_t pid)
{
	struct error err;

	if (launch->state != LAUNCH_CREATING || launch->terminal != (launch->console >= 0) ||
	    launch->enters_late == (pid == launch->pid))
		return false;
	if (adopt(launch, pid, &err) < 0) {
		fail(launch, &err);
		return true;
	}
	set_state(launch, LAUNCH_CREATED);
	launch->on_created(launch->created_ctx, take_fd(&launch->console), NULL);
	return true;
}

/* May end the launch, and its owner may destroy it then. */
static void take_message(struct launch *launch, struct launch_received *received, size_t len)
{
	struct launch_message *message = &received->message;
	int kind = len == sizeof(*message) ? message->kind : 0;
	struct error err;

	if (kind == LAUNCH_CONSOLE && take_console(launch, received))
		return;
	if (kind == LAUNCH_READY && take_ready(launch, received->pid))
		return;
	if (kind == LAUNCH_FAILED)
		describe(message, &err);
	else
		error_set(&err, ERROR_INTERNAL, "unexpected message from the container's process");
	fail(launch, &err);
}

static void on_readable(struct ev_loop *loop, ev_io *watch, int events)
{
	struct launch *launch = watch->data;
	struct launch_received received;
	ssize_t n = launch_wire_receive(launch->socket, &received);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		at_end(launch);
	else
		take_message(launch, &received, n);
	if (received.fd >= 0)
		close(received.fd);
}

/* The request in a memfd, to be read from its start. */
static int make_request(const struct launch *launch, const struct launch_config *config,
                        struct error *err)
{
	Launch__Request request = LAUNCH__REQUEST__INIT;
	autoclose int fd = memfd_create(LAUNCH_ARGUMENT, MFD_CLOEXEC);
	ProtobufCBinaryData data;
	ssize_t n;

	if (fd < 0)
		return error_errno(err, "cannot make a memfd");
	request.id = (char *)config->id;
	request.rootfs = (char *)config->rootfs;
	request.spec = (Grpc__Spec *)config->spec;
	request.process = (Grpc__Process *)config->process;
	request.exec = config->init != NULL;
	request.joins_pid_namespace = launch->enters_late && !config->init;
	data = message_encode(&request.base);
	n = pwrite(fd, data.data, data.len, 0);
	free(data.data);
	if (n < 0 || (size_t)n != data.len)
		return error_errno(err, "cannot write the request");
	return take_fd(&fd);
}

/* In the child, after clone3(2): descriptors to their places, then this executable again. */
static void become_child(const int fds[LAUNCH_FD_END])
{
	static char *const argv[] = { "kata-agent", LAUNCH_ARGUMENT, NULL };
	static char *const envp[] = { NULL };
	sigset_t none;
	int moved[LAUNCH_FD_END];
	int i;

	for (i = 0; i < LAUNCH_FD_END; i++)
		moved[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, ABOVE_LAUNCH_FDS);
	for (i = 0; i < LAUNCH_FD_END; i++) {
		if (moved[i] >= 0)
			dup2(moved[i], i);
		else
			close(i);
	}
	syscall(SYS_close_range, LAUNCH_FD_END, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve("/proc/self/exe", argv, envp);
	_exit(127);
}

static int clone_child(struct launch *launch, const struct launch_config *config,
                       const int fds[LAUNCH_FD_END], struct error *err)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
		.pidfd = (uintptr_t)&launch->pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = config->cgroup_fd,
	};
	pid_t pid;

	if (!config->init)
		args.flags |= namespaces_clone_flags(config->spec);
	if (launch->enters_late)
		args.flags &= ~(uint64_t)CLONE_NEWPID;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		become_child(fds);
	if (pid < 0)
		return error_errno(err, "cannot clone the container's process");
	launch->pid = pid;
	return 0;
}

/* One that the container's spec names by a path of the guest; *@out stays when it names none. */
static int open_named_pid_namespace(const Grpc__Spec *spec, int *out, struct error *err)
{
	const char *path = namespaces_pid_path(spec);

	if (!path)
		return 0;
	*out = open(path, O_RDONLY | O_CLOEXEC);
	return *out < 0 ? error_errno(err, "cannot open the pid namespace \"%s\"", path) : 0;
}

/* What a process does not get is told, as under runc, and the process runs. */
static void warn_of_capabilities(const struct launch_config *config)
{
	struct caps caps = caps_read(config->process->capabilities);

	if (caps_left_out(&caps))
		log_warn("ambient capabilities are left out that are not permitted and inheritable "
		         "container=%s mask=%#llx",
		         config->id, (unsigned long long)caps_left_out(&caps));
}

static int start(struct launch *launch, const struct launch_config *config, int pid_namespace,
                 struct error *err)
{
	autoclose int request = make_request(launch, config, err);
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	autoclose int theirs = -1;
	int fds[LAUNCH_FD_END];
	int pair[2];
	int i;

	if (request < 0)
		return request;
	if (config->init && has_ended(config->init))
		return refuse_ended(err);
	if (!config->init && config->spec->linux->seccomp) {
		launch->seccomp = memfd_create("seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (launch->seccomp < 0)
			return error_errno(err, "cannot make a memfd");
	}
	if (null < 0)
		return error_errno(err, "cannot open \"/dev/null\"");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "cannot make a socket pair");
	launch->socket = pair[0];
	theirs = pair[1];
	if (launch_wire_ask_sender(launch->socket) < 0)
		return error_errno(err, "cannot enable SO_PASSCRED");
	for (i = 0; i < 3; i++)
		fds[i] =
			config->stdio[i] < 0 || config->process->terminal ? null : config->stdio[i];
	fds[LAUNCH_FD_REQUEST] = request;
	fds[LAUNCH_FD_SOCKET] = theirs;
	fds[LAUNCH_FD_INIT] = config->init ? config->init->pidfd : -1;
	fds[LAUNCH_FD_SECCOMP] = config->init ? config->init->seccomp : launch->seccomp;
	fds[LAUNCH_FD_GUEST_CGROUP] = config->init ? -1 : config->guest_cgroup_fd;
	fds[LAUNCH_FD_PID_NAMESPACE] = pid_namespace;
	return clone_child(launch, config, fds, err);
}

/* The pid namespace is an exec's init's, one that the container joins, or new. */
static int start_in_pid_namespace(struct launch *launch, const struct launch_config *config,
                                  struct error *err)
{
	autoclose int named = -1;
	int joined = config->init ? -1 : config->pid_namespace;
	int r = 0;

	if (!config->init && joined < 0)
		r = open_named_pid_namespace(config->spec, &named, err);
	if (named >= 0)
		joined = named;
	if (r == 0 && joined >= 0)
		r = namespaces_check_pid(joined, err);
	if (r < 0)
		return r;
	launch->enters_late = config->init || joined >= 0;
	return start(launch, config, joined, err);
}

int launch_create(struct ev_loop *loop, const struct launch_config *config,
                  launch_created_fn *on_created, void *ctx, struct launch **out, struct error *err)
{
	autodestroy(launch) struct launch *launch = mem_new(struct launch);
	int r;

	launch->loop = loop;
	launch->socket = -1;
	launch->terminal = config->process->terminal;
	launch->console = -1;
	launch->pidfd = -1;
	launch->seccomp = -1;
	launch->on_created = on_created;
	launch->created_ctx = ctx;
	ev_io_init(&launch->watch, on_readable, -1, EV_READ);
	r = spec_check(config->spec, err);
	if (r == 0)
		r = spec_check_process(config->process, err);
	if (r < 0)
		return r;
	warn_of_capabilities(config);
	r = start_in_pid_namespace(launch, config, err);
	if (r < 0)
		return r;
	ev_io_set(&launch->watch, launch->socket, EV_READ);
	launch->watch.data = launch;
	ev_io_start(loop, &launch->watch);
	*out = take_ptr(&launch);
	return 0;
}

int launch_run(struct launch *launch, done_fn *done, void *ctx, struct error *err)
{
	if (launch->state == LAUNCH_ENDED)
		return refuse_ended(err);
	if (launch->state != LAUNCH_CREATED)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "the container's process was started already");
	if (send(launch->socket, "", 1, MSG_NOSIGNAL) < 0)
		return error_errno(err, "cannot start the container's process");
	launch->on_run = done;
	launch->run_ctx = ctx;
	set_state(launch, LAUNCH_RUNNING);
	return 0;
}

pid_t launch_pid(const struct launch *launch)
{
	return launch->pid;
}

int launch_pidfd(const struct launch *launch)
{
	return launch->pidfd;
}

void launch_destroy(struct launch *launch)
{
	if (!launch)
		return;
	ev_io_stop(launch->loop, &launch->watch);
	/* Before execve it dies; afterwards the state is ENDED and the process goes its way. */
	if (launch->pidfd >= 0 && launch->state != LAUNCH_ENDED)
		kill_child(launch);
	if (launch->socket >= 0)
		close(launch->socket);
	if (launch->console >= 0)
		close(launch->console);
	if (launch->pidfd >= 0)
		close(launch->pidfd);
	if (launch->seccomp >= 0)
		close(launch->seccomp);
	free(launch);
}
