/*
 * Steps of every container process: what it is (session, namespaces, limits, user, capabilities,
 * filter), what it runs, and execve.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
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

#define UMASK               022
#define KEYRING_PERMISSIONS 0x3f0b0000UL /* possessor: all; user: view, read, search */

/* A session of its own has no terminal and gets no signal of the agent's. */
int step_start_session(struct child *child, struct error *err)
{
	return setsid() < 0 ? error_errno(err, "setsid") : 0;
}

/* In its own /proc, which only the guest's mount namespace is sure to have. */
int step_set_oom_score(struct child *child, struct error *err)
{
	autoclose int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char value[24];

	if (self < 0)
		return error_errno(err, "open '/proc/self'");
	snprintf(value, sizeof(value), "%lld", (long long)child->process->oomscoreadj);
	return kernel_file_write(self, "oom_score_adj", value, err);
}

/* Compiled once in a container's life: its init leaves it to the execs. */
int step_get_seccomp(struct child *child, struct error *err)
{
	const Grpc__LinuxSeccomp *profile = child->spec->linux->seccomp;
	int r = 0;

	if (!profile)
		return 0;
	if (!child->request->exec)
		r = seccomp_compile_apart(profile, LAUNCH_FD_SECCOMP, err);
	return r < 0 ? r : seccomp_read(LAUNCH_FD_SECCOMP, &child->seccomp, err);
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

/* Of the container's own: what the agent's holds is not for it. A kernel without keys is fine. */
int step_join_keyring(struct child *child, struct error *err)
{
	autofree char *name = mem_printf("_ses.%s", child->request->id);
	long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);

	if (ring < 0)
		return errno == ENOSYS ? 0 : error_errno(err, "join session keyring '%s'", name);
	if (!child->request->exec &&
	    syscall(SYS_keyctl, KEYCTL_SETPERM, ring, KEYRING_PERMISSIONS) < 0)
		return error_errno(err, "let the session keyring be searched");
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
		return error_errno(err, "open '/'");
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
		return error_errno(err, "send the terminal");
	close(take_fd(&child->console.master));
	return 0;
}

int step_attach_console(struct child *child, struct error *err)
{
	int r = 0;

	if (child->process->terminal)
		r = console_connect(&child->console, err);
	return r < 0 || !child->process->terminal ? r : console_control(err);
}

int step_set_rlimits(struct child *child, struct error *err)
{
	return rlimits_apply(child->process, err);
}

int step_set_no_new_privs(struct child *child, struct error *err)
{
	if (child->process->nonewprivileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "set no_new_privs");
	return 0;
}

int step_seccomp_privileged(struct child *child, struct error *err)
{
	if (!child->seccomp || child->process->nonewprivileges)
		return 0;
	return seccomp_install(child->seccomp, err);
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

int step_set_caps(struct child *child, struct error *err)
{
	return caps_apply(&child->caps, err);
}

int step_make_environment(struct child *child, struct error *err)
{
	const Grpc__Process *process = child->process;
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autofree char *home = NULL;

	if (root < 0)
		return error_errno(err, "open '/'");
	home = user_home(root, child->user->uid);
	close(root);
	child->environment = environment_make(process->env, process->n_env, home);
	return 0;
}

int step_find_executable(struct child *child, struct error *err)
{
	return executable_find(child->process->args[0], environment_get(child->environment, "PATH"),
	                       &child->executable, err);
}

/* Created: all but execve is done. An agent that has gone has no use for us. */
int step_wait_for_go(struct child *child, struct error *err)
{
	struct launch_message ready = { .kind = LAUNCH_READY };
	ssize_t n;
	char go;

	if (launch_wire_send(LAUNCH_FD_SOCKET, &ready) < 0)
		return error_errno(err, "tell the agent");
	do
		n = read(LAUNCH_FD_SOCKET, &go, sizeof(go));
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(1);
	return 0;
}

int step_seccomp_last(struct child *child, struct error *err)
{
	if (!child->seccomp || !child->process->nonewprivileges)
		return 0;
	return seccomp_install(child->seccomp, err);
}

int step_execute(struct child *child, struct error *err)
{
	const Grpc__Process *process = child->process;
	autofree char **argv = mem_alloc((process->n_args + 1) * sizeof(*argv));
	char why[ERRNO_TEXT_SIZE];

	memcpy(argv, process->args, process->n_args * sizeof(*argv));
	execve(child->executable, argv, child->environment);
	return error_set(err, ERROR_INVALID_ARGUMENT, "exec %s: %s", child->executable,
	                 errno_text(errno, why));
}
