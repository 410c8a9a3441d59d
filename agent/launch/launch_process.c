/*
 * Steps of every container process: what it is (session, namespaces, limits, user, capabilities,
 * filter), what it runs, and execve.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/errno_text.h"
#include "agent/base/kernel_file.h"
#include "agent/launch/environment.h"
#include "agent/launch/executable.h"
#include "agent/launch/launch_step.h"
#include "agent/launch/launch_wire.h"
#include "agent/launch/namespaces.h"
#include "agent/launch/rlimits.h"
#include "agent/launch/seccomp.h"
#include "agent/launch/user.h"
#include "common/error.h"
#include "common/mem.h"

#define AHEAD_FD            (LAUNCH_FD_SOCKET + 1)
#define READ_AHEAD_MS       1 /* after READY */
#define UMASK               022
#define KEYRING_PERMISSIONS 0x3f0b0000UL /* possessor: all; user: view, read, search */

/* A session of its own has no terminal and gets no signal of the agent's. */
int step_start_session(struct child *child, struct error *err)
{
	return setsid() < 0 ? error_errno(err, "cannot start a session") : 0;
}

/* In its own /proc, which only the guest's mount namespace is sure to have. */
int step_set_oom_score(struct child *child, struct error *err)
{
	autoclose int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char value[24];

	if (self < 0)
		return error_errno(err, "cannot open \"/proc/self\"");
	snprintf(value, sizeof(value), "%lld", (long long)child->process->oomscoreadj);
	return kernel_file_write(self, "oom_score_adj", value, err);
}

/* Its pid namespace is there already: it enters that last. */
static bool enters_late(const struct child *child)
{
	return child->request->exec || child->request->joins_pid_namespace;
}

/* What the process still calls behind its filter when that comes first. */
static bool can_filter_early(const struct child *child)
{
	const bool late = enters_late(child);
	const struct {
		bool needed;
		int number;
		uint64_t first, second;
	} calls[] = {
		{ !child->process->nonewprivileges, SYS_capset, 0, 0 },
		{ late, SYS_clone, CLONE_PARENT | SIGCHLD, 0 },
		{ late, SYS_setsid, 0, 0 },
		{ late && child->process->terminal, SYS_ioctl, STDIN_FILENO, TIOCSCTTY },
		{ true, SYS_write, LAUNCH_FD_SOCKET, 0 },
		{ true, SYS_read, LAUNCH_FD_SOCKET, 0 },
		{ true, SYS_execve, 0, 0 },
		{ true, SYS_exit_group, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].needed && !seccomp_allows(child->seccomp, calls[i].number,
		                                       calls[i].first, calls[i].second))
			return false;
	return true;
}

/* Compiled once in a container's life: its init leaves it to the execs. */
int step_get_seccomp(struct child *child, struct error *err)
{
	const Grpc__LinuxSeccomp *profile = child->spec->linux->seccomp;
	int r = 0;

	if (!profile)
		return 0;
	if (!child->request->exec)
		r = seccomp_compile_apart(profile, LAUNCH_FD_SECCOMP, LAUNCH_FD_GUEST_CGROUP, err);
	if (r == 0)
		r = seccomp_read(LAUNCH_FD_SECCOMP, &child->seccomp, err);
	if (r < 0)
		return r;
	child->filter_first = can_filter_early(child);
	/* Alone in its pid namespace, without no_new_privs, it has no other way: the profile has to
	 * allow these. */
	if (!enters_late(child) && !child->no_new_privs)
		child->filter_first = true;
	/* Who enters late has: behind its filter it could not get into the pid namespace, before that it
	 * must not have the capability to install one. */
	if (!child->filter_first)
		child->no_new_privs = true;
	return 0;
}

int step_enter_namespaces(struct child *child, struct error *err)
{
	int r;

	if (!child->request->exec)
		return namespaces_enter(child->spec, err);
	r = namespaces_join(LAUNCH_FD_INIT, err);
	close(LAUNCH_FD_INIT);
	return r;
}

/* Of children only: proc_context_open() has made its own by now, of another kind. */
int step_join_pid_namespace(struct child *child, struct error *err)
{
	return namespaces_join_pid(LAUNCH_FD_PID_NAMESPACE, err);
}

/* Gives the container a session keyring of its own. A kernel without keys is no error. */
int step_join_keyring(struct child *child, struct error *err)
{
	autofree char *name = mem_printf("_ses.%s", child->request->id);
	long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);

	if (ring < 0)
		return errno == ENOSYS
		               ? 0
		               : error_errno(err, "cannot join session keyring \"%s\"", name);
	if (!child->request->exec &&
	    syscall(SYS_keyctl, KEYCTL_SETPERM, ring, KEYRING_PERMISSIONS) < 0)
		return error_errno(err, "cannot make the session keyring searchable");
	return 0;
}

/* An exec's terminal is of the container it has joined. */
int step_open_console(struct child *child, struct error *err)
{
	int root;
	int r;

	if (!child->process->terminal)
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(err, "cannot open \"/\"");
	r = console_open(root, child->process->consolesize, &child->console, err);
	close(root);
	return r;
}

/* The agent's from here on. */
int step_hand_over_console(struct child *child, struct error *err)
{
	if (!child->process->terminal)
		return 0;
	if (launch_wire_send_console(LAUNCH_FD_SOCKET, child->console.master) < 0)
		return error_errno(err, "cannot send the terminal");
	close(take_fd(&child->console.master));
	return 0;
}

int step_connect_console(struct child *child, struct error *err)
{
	return child->process->terminal ? console_connect(&child->console, err) : 0;
}

int step_control_console(struct child *child, struct error *err)
{
	return child->process->terminal ? console_control(err) : 0;
}

int step_set_rlimits(struct child *child, struct error *err)
{
	return rlimits_apply(child->process, err);
}

int step_set_no_new_privs(struct child *child, struct error *err)
{
	if (child->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "cannot set no_new_privs");
	return 0;
}

/* runc's text: clients show it. */
static int enter_cwd(struct child *child, struct error *err)
{
	const char *cwd = child->process->cwd;
	char why[ERRNO_TEXT_SIZE];
	int error;

	child->in_cwd = chdir(cwd) == 0;
	if (child->in_cwd)
		return 0;
	error = errno;
	error_set(err, ERROR_INVALID_ARGUMENT,
	          "chdir to cwd (\"%s\") set in config.json failed: %s", cwd,
	          errno_text(error, why));
	return -error;
}

/* Root may be kept out where the user is not (an NFS home), and the other way round. */
int step_try_cwd(struct child *child, struct error *err)
{
	int r = enter_cwd(child, err);

	return r == -EACCES || r == -EPERM ? 0 : r;
}

int step_become_user(struct child *child, struct error *err)
{
	int r;

	umask(UMASK);
	child->caps = caps_read(child->process->capabilities);
	r = caps_prepare(&child->caps, err);
	if (r == 0)
		r = user_own_stdio(child->user, err);
	return r < 0 ? r : user_become(child->user, err);
}

/* A directory above the root would be a way out of the container. */
int step_check_cwd(struct child *child, struct error *err)
{
	autofree char *cwd = NULL;

	if (!child->in_cwd) {
		int r = enter_cwd(child, err);

		if (r < 0)
			return r;
	}
	cwd = getcwd(NULL, 0);
	if (!cwd || cwd[0] != '/')
		return error_set(err, ERROR_PERMISSION_DENIED,
		                 "cwd (\"%s\") is outside of the container's root",
		                 child->process->cwd);
	return 0;
}

/* A filter without no_new_privs takes CAP_SYS_ADMIN: kept until that is installed. */
static bool keeps_admin(const struct child *child)
{
	return child->seccomp && !child->no_new_privs;
}

int step_set_caps(struct child *child, struct error *err)
{
	return caps_apply(&child->caps, keeps_admin(child) ? UINT64_C(1) << CAP_SYS_ADMIN : 0, err);
}

int step_make_environment(struct child *child, struct error *err)
{
	const Grpc__Process *process = child->process;
	autofree char *home = NULL;

	if (environment_needs_home(process->env, process->n_env)) {
		autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (root < 0)
			return error_errno(err, "cannot open \"/\"");
		home = user_home(root, child->user->uid);
	}
	child->environment = environment_make(process->env, process->n_env, home);
	return 0;
}

/*
 * A container's program is not in memory yet, an exec's mostly is. To read it takes as long as all the
 * mounts: it is done while the host hears that the container is created, and asks for its start,
 * unless a filter comes before that and knows better.
 */
static void prepare_read_ahead(struct child *child)
{
	const int calls[] = { SYS_poll, SYS_newfstatat, SYS_readahead, SYS_close };
	bool later = true;

	child->ahead = executable_open(child->executable);
	for (size_t i = 0; child->filter_first && i < sizeof(calls) / sizeof(calls[0]); i++)
		later = later && seccomp_allows(child->seccomp, calls[i], AHEAD_FD, 0);
	if (child->ahead < 0 || later)
		return;
	executable_read_ahead(child->ahead);
	cleanup_close(&child->ahead);
}

int step_find_executable(struct child *child, struct error *err)
{
	const char *path = environment_get(child->environment, "PATH");
	int r = executable_find(child->process->args[0], path, &child->executable, err);

	if (r == 0 && !child->request->exec)
		prepare_read_ahead(child);
	return r;
}

int step_make_arguments(struct child *child, struct error *err)
{
	const Grpc__Process *process = child->process;

	child->arguments = mem_alloc((process->n_args + 1) * sizeof(*child->arguments));
	memcpy(child->arguments, process->args, process->n_args * sizeof(*child->arguments));
	return 0;
}

/* Who gets hold of the process in the container finds nothing of the agent's but the socket, and
 * beside that the file that it executes. */
int step_close_descriptors(struct child *child, struct error *err)
{
	unsigned int first = LAUNCH_FD_SOCKET + 1;

	if (child->ahead >= 0 && child->ahead != AHEAD_FD)
		child->ahead = dup3(child->ahead, AHEAD_FD, O_CLOEXEC);
	if (child->ahead >= 0)
		first = AHEAD_FD + 1;
	return syscall(SYS_close_range, first, ~0U, 0) < 0
	               ? error_errno(err, "cannot close the descriptors")
	               : 0;
}

int step_filter_first(struct child *child, struct error *err)
{
	int r;

	if (!child->seccomp || !child->filter_first)
		return 0;
	r = seccomp_install(child->seccomp, err);
	if (r == 0 && keeps_admin(child))
		r = caps_drop_kept(&child->caps, err);
	return r;
}

int step_enter_pid_namespace(struct child *child, struct error *err)
{
	return namespaces_enter_pid(child->request->exec ? "the container's process"
	                                                 : "the pid namespace to join",
	                            err);
}

/* The agent comes first, which is to answer: with one processor that would wait for the reading. */
static void read_ahead(int fd)
{
	struct pollfd go = { .fd = LAUNCH_FD_SOCKET, .events = POLLIN };

	poll(&go, 1, READ_AHEAD_MS);
	executable_read_ahead(fd);
	close(fd);
}

/* Created: all but execve is done. An agent that has gone has no use for us. */
int step_wait_for_go(struct child *child, struct error *err)
{
	struct launch_message ready = { .kind = LAUNCH_READY };
	ssize_t n;
	char go;

	if (launch_wire_send(LAUNCH_FD_SOCKET, &ready) < 0)
		return error_errno(err, "cannot report to the agent");
	if (child->ahead >= 0)
		read_ahead(child->ahead);
	do
		n = read(LAUNCH_FD_SOCKET, &go, sizeof(go));
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(1);
	return 0;
}

int step_filter_last(struct child *child, struct error *err)
{
	return child->seccomp && !child->filter_first ? seccomp_install(child->seccomp, err) : 0;
}

int step_execute(struct child *child, struct error *err)
{
	char why[ERRNO_TEXT_SIZE];

	execve(child->executable, child->arguments, child->environment);
	return error_set(err, ERROR_INVALID_ARGUMENT, "exec %s: %s", child->executable,
	                 errno_text(errno, why));
}
