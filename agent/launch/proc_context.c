#include "agent/launch/proc_context.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/launch/caps.h"
#include "agent/launch/empty_root.h"
#include "agent/launch/namespaces.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/fd_message.h"

#define NAME   "proc"
#define SOCKET 0 /* where the two processes have theirs */

/* What is still to be called: namespaces_enter_pid(), open_and_send(). Freeing what the library has
 * made might take more. */
static int install_filter(struct error *err)
{
	static const struct {
		int number;
		unsigned int compared; /* arguments: none, or the first */
		struct scmp_arg_cmp first;
	} calls[] = {
		{ SCMP_SYS(clone), 1, { 0, SCMP_CMP_EQ, CLONE_PARENT | SIGCHLD, 0 } },
		{ SCMP_SYS(fsopen), 0, { 0 } },
		{ SCMP_SYS(sendmsg), 1, { 0, SCMP_CMP_EQ, SOCKET, 0 } },
		{ SCMP_SYS(exit_group), 0, { 0 } },
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < sizeof(calls) / sizeof(calls[0]); i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i].number,
		                           calls[i].compared, &calls[i].first);
	if (r == 0)
		r = seccomp_load(filter); /* sets no_new_privs as well */
	errno = -r;
	return r < 0 ? error_errno(err, "cannot install a filter") : 0;
}

static int drop_capabilities(struct error *err)
{
	static const struct caps none;
	int r = caps_prepare(&none, err);

	return r < 0 ? r : caps_apply(&none, UINT64_C(1) << CAP_SYS_ADMIN, err);
}

/* Nobody in the pid namespace sees who does this. */
static int confine(int pid_namespace, struct error *err)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0)
		return error_errno(err, "cannot make a mount namespace");
	r = empty_root_enter(NAME, err);
	if (r < 0)
		return r;
	r = namespaces_join_pid(pid_namespace, err);
	if (r < 0)
		return r;
	if (syscall(SYS_close_range, SOCKET + 1, ~0U, 0) < 0)
		return error_errno(err, "cannot close the descriptors");
	r = drop_capabilities(err);
	return r < 0 ? r : install_filter(err);
}

/* Until here in the first process, from namespaces_enter_pid() on in the second. */
static void __attribute__((noreturn)) open_and_send(int pid_namespace, int socket)
{
	struct error err = { 0 };
	int context = -1;

	dup2(socket, SOCKET);
	if (confine(pid_namespace, &err) == 0 &&
	    namespaces_enter_pid("the pid namespace", &err) == 0) {
		context = fsopen(NAME, FSOPEN_CLOEXEC);
		if (context < 0)
			error_errno(&err, "cannot open it");
	}
	fd_message_send(SOCKET, &err, sizeof(err), &context, context >= 0);
	for (;;) /* _exit() is more than a system call where sanitizers are */
		syscall(SYS_exit_group, 0);
}

static int receive(int socket, struct error *err)
{
	struct pollfd readable = { .fd = socket, .events = POLLIN };
	struct error cause = { 0 };
	autoclose int context = -1;
	size_t n = 0;

	if (poll(&readable, 1, PROC_CONTEXT_TIMEOUT_MS) <= 0)
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "not opened within %d ms",
		                 PROC_CONTEXT_TIMEOUT_MS);
	if (fd_message_receive(socket, &cause, sizeof(cause), &context, 1, &n) != sizeof(cause))
		return error_set(err, ERROR_ABORTED, "the process that opens it died");
	cause.text[sizeof(cause.text) - 1] = '\0';
	if (cause.code || n == 0)
		return error_set(err, ERROR_FAILED_PRECONDITION, "%s", cause.text);
	return take_fd(&context);
}

/* Both processes are children of who calls. One that is traced may not end for long: the agent reaps
 * what its own child leaves. */
static void reap(const sigset_t *sigchld)
{
	const struct timespec most = { .tv_sec = 1 };
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0)
		if (pid == 0 && sigtimedwait(sigchld, NULL, &most) < 0)
			return;
}

int proc_context_open(int pid_namespace, struct error *err)
{
	sigset_t sigchld;
	int pair[2];
	int context;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "cannot make a socket pair");
	sigemptyset(&sigchld);
	sigaddset(&sigchld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &sigchld, NULL);
	pid = fork();
	if (pid == 0)
		open_and_send(pid_namespace, pair[1]);
	close(pair[1]);
	context = pid < 0 ? error_errno(err, "cannot make a process") : receive(pair[0], err);
	close(pair[0]);
	reap(&sigchld);
	sigprocmask(SIG_UNBLOCK, &sigchld, NULL);
	return context < 0 ? error_wrap(err, "cannot open the pid namespace's /proc") : context;
}
