/*
 * The child that becomes a container process: from `/init launch` down to execve in a table of
 * steps. It is root with all capabilities until "become the user", single-threaded, and alone with
 * its request: what it inherits are 0, 1, 2 and the descriptors of launch_wire.h.
 *
 * The root file system is somebody else's from the first line on: until "change the root" it is
 * touched by in_root.h only, and by paths of /proc/self/fd in the guest's own /proc. After that,
 * paths are the container's and so is what they lead to; nothing read there is believed.
 *
 * Where the pid namespace is there already (an exec's; one that a container joins), the child is two
 * processes. The first is the agent's, in its pid namespace, where no process of a container can see
 * it, nor trace it or send it signals, whatever its capabilities: it enters the other namespaces and
 * becomes all that the process will be (root directory, cgroup, user, capabilities, no_new_privs,
 * filter). Only then does it clone the second into the pid namespace, with the agent for a parent
 * (CLONE_PARENT), and ends. What a tracer there gets hold of is no more than what is to run.
 *
 * The filter comes first where the profile allows what is still to be called behind it, and that is
 * little: all that needs memory or files is done before. CAP_SYS_ADMIN, which a filter without
 * no_new_privs needs, is kept for it alone. Where a profile does not allow so much, the filter comes
 * last; who enters late then gets no_new_privs, as it must not be seen with CAP_SYS_ADMIN. Hooks, which
 * run before that, install it for themselves.
 */
#include "agent/launch/launch_child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/launch/launch_step.h"
#include "agent/launch/launch_wire.h"
#include "common/error.h"
#include "common/mem.h"
#include "proto/message.h"

enum who {
	FIRST = 1,  /* a container's init, the first process of its pid namespace */
	JOINER = 2, /* a container's init in a pid namespace that is there already */
	EXEC = 4,   /* in a container that runs */
	INIT = FIRST | JOINER,
	LATE = JOINER | EXEC,
	ALL = FIRST | JOINER | EXEC,
};

/* clang-format off: one row a line */
static const struct step {
	enum who who;
	const char *name; /* put before the text of its error; "": the text is runc's own */
	step_fn *run;
} steps[] = {
	{ ALL, "start a session", step_start_session },
	{ ALL, "set the OOM score", step_set_oom_score },
	{ ALL, "read the seccomp profile", step_get_seccomp },
	{ ALL, "enter the namespaces", step_enter_namespaces },
	{ ALL, "join the session keyring", step_join_keyring },
	{ INIT, "set the hostname", step_set_hostname },
	{ INIT, "write kernel settings", step_write_sysctls },
	{ INIT, "open the root file system", step_open_rootfs },
	{ INIT, "make the mounts", step_make_mounts },
	{ INIT, "make the devices", step_make_devices },
	{ INIT, "make the console", step_make_console },
	{ INIT, "make the working directory", step_make_cwd },
	{ INIT, "finish the mounts", step_finish_mounts },
	{ INIT, "protect paths", step_protect_paths },
	{ INIT, "mask paths", step_mask_paths },
	{ INIT, "change the root", step_change_root },
	{ JOINER, "join the pid namespace", step_join_pid_namespace },
	{ EXEC, "open a console", step_open_console },
	{ ALL, "hand over the console", step_hand_over_console },
	{ ALL, "connect the console", step_connect_console },
	{ FIRST, "take control of the console", step_control_console },
	{ ALL, "set resource limits", step_set_rlimits },
	{ ALL, "set no_new_privs", step_set_no_new_privs },
	{ ALL, "", step_try_cwd },
	{ ALL, "become the user", step_become_user },
	{ ALL, "", step_check_cwd },
	{ ALL, "set capabilities", step_set_caps },
	{ ALL, "make the environment", step_make_environment },
	{ ALL, "", step_find_executable },
	{ ALL, "make the arguments", step_make_arguments },
	{ ALL, "close descriptors", step_close_descriptors },
	{ ALL, "install the seccomp profile", step_filter_first },
	{ LATE, "enter the pid namespace", step_enter_pid_namespace },
	{ LATE, "start a session", step_start_session },
	{ LATE, "take control of the console", step_control_console },
	{ INIT, "", step_run_create_hooks },
	{ ALL, "wait for the start", step_wait_for_go },
	{ INIT, "", step_run_start_hooks },
	{ ALL, "install the seccomp profile", step_filter_last },
	{ ALL, "", step_execute },
};
/* clang-format on */

/* Never returns: the agent reads why. */
static void __attribute__((noreturn)) report_failure(const char *step, const struct error *err)
{
	struct launch_message message = { .kind = LAUNCH_FAILED, .code = err->code };

	snprintf(message.step, sizeof(message.step), "%s", step);
	snprintf(message.text, sizeof(message.text), "%s", err->text);
	launch_wire_send(LAUNCH_FD_SOCKET, &message);
	_exit(1);
}

/* NULL with @err set; else it lives as long as the process. */
static const Launch__Request *read_request(struct error *err)
{
	autofree char *data = NULL;
	ProtobufCMessage *message = NULL;
	struct stat st;

	if (fstat(LAUNCH_FD_REQUEST, &st) < 0 || st.st_size > LAUNCH_REQUEST_MAX) {
		error_set(err, ERROR_INVALID_ARGUMENT, "longer than %d bytes", LAUNCH_REQUEST_MAX);
		return NULL;
	}
	data = mem_alloc(st.st_size);
	if (pread(LAUNCH_FD_REQUEST, data, st.st_size, 0) != st.st_size) {
		error_errno(err, "cannot read it");
		return NULL;
	}
	close(LAUNCH_FD_REQUEST);
	message_decode(&launch__request__descriptor, data, st.st_size, &message, err);
	return (const Launch__Request *)message;
}

/* What the agent ignores or handles is no business of the container's. */
static void reset_process(void)
{
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	umask(0); /* modes are meant as they are written; UMASK comes with the user */
}

static enum who who_is(const Launch__Request *request)
{
	if (request->exec)
		return EXEC;
	return request->joins_pid_namespace ? JOINER : FIRST;
}

int launch_child_main(void)
{
	static const Grpc__User root = GRPC__USER__INIT;
	struct child child = { .root = -1, .ahead = -1, .console = { .master = -1, .slave = -1 } };
	struct error err = { 0 };
	enum who who;
	size_t i;

	fcntl(LAUNCH_FD_SOCKET, F_SETFD, FD_CLOEXEC);
	fcntl(LAUNCH_FD_INIT, F_SETFD, FD_CLOEXEC);
	fcntl(LAUNCH_FD_SECCOMP, F_SETFD, FD_CLOEXEC);
	fcntl(LAUNCH_FD_GUEST_CGROUP, F_SETFD, FD_CLOEXEC);
	fcntl(LAUNCH_FD_PID_NAMESPACE, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	reset_process();
	child.request = read_request(&err);
	if (!child.request)
		report_failure("read the request", &err);
	child.spec = child.request->spec;
	child.process = child.request->process;
	child.user = child.process->user ? child.process->user : &root;
	child.no_new_privs = child.process->nonewprivileges;
	who = who_is(child.request);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if ((steps[i].who & who) && steps[i].run(&child, &err) < 0)
			report_failure(steps[i].name, &err);
	return 1;
}
