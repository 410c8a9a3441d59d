/*
 * The child that becomes a container process: from `/init launch` down to execve in a table of
 * steps. It is root with all capabilities until "become the user", single-threaded, and alone with
 * its request: what it inherits are 0, 1, 2 and the descriptors of launch_wire.h.
 *
 * The root file system is somebody else's from the first line on: until "change the root" it is
 * touched by in_root.h only, and by paths of /proc/self/fd in the guest's own /proc. After that,
 * paths are the container's and so is what they lead to; nothing read there is believed.
 *
 * Seccomp comes early only where it must: without no_new_privs it needs CAP_SYS_ADMIN, and a
 * profile then has to allow what the later steps do, as under runc.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/errno_text.h"
#include "agent/base/kernel_file.h"
#include "agent/launch/caps.h"
#include "agent/launch/console.h"
#include "agent/launch/devices.h"
#include "agent/launch/environment.h"
#include "agent/launch/executable.h"
#include "agent/launch/in_root.h"
#include "agent/launch/launch_child.h"
#include "agent/launch/launch_wire.h"
#include "agent/launch/masked_paths.h"
#include "agent/launch/mounts.h"
#include "agent/launch/namespaces.h"
#include "agent/launch/rlimits.h"
#include "agent/launch/rootfs.h"
#include "agent/launch/seccomp.h"
#include "agent/launch/sysctl.h"
#include "agent/launch/user.h"
#include "common/mem.h"
#include "proto/launch.pb-c.h"
#include "proto/message.h"

#define UMASK               022
#define KEYRING_PERMISSIONS 0x3f0b0000UL /* possessor: all; user: view, read, search */

struct child {
	const Launch__Request *request;
	const Grpc__Spec *spec;
	const Grpc__Process *process;
	const Grpc__User *user;
	int root; /* until it is "/" */
	struct console console;
	struct seccomp *seccomp; /* NULL: no profile */
	struct caps caps;
	bool in_cwd;
	char **environment;
	char *executable;
};

typedef int step_fn(struct child *child, struct error *err);

/* A session of its own has no terminal and gets no signal of the agent's. */
static int start_session(struct child *child, struct error *err)
{
	return setsid() < 0 ? error_errno(err, "setsid") : 0;
}

/* In its own /proc, which only the guest's mount namespace is sure to have. */
static int set_oom_score(struct child *child, struct error *err)
{
	autoclose int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char value[24];

	if (self < 0)
		return error_errno(err, "open '/proc/self'");
	snprintf(value, sizeof(value), "%lld", (long long)child->process->oomscoreadj);
	return kernel_file_write(self, "oom_score_adj", value, err);
}

/* Compiled once in a container's life: its init leaves it to the execs. */
static int get_seccomp(struct child *child, struct error *err)
{
	const Grpc__LinuxSeccomp *profile = child->spec->linux->seccomp;
	int r = 0;

	if (!profile)
		return 0;
	if (!child->request->exec)
		r = seccomp_compile_apart(profile, LAUNCH_FD_SECCOMP, err);
	return r < 0 ? r : seccomp_read(LAUNCH_FD_SECCOMP, &child->seccomp, err);
}

static int enter_namespaces(struct child *child, struct error *err)
{
	int r;

	if (!child->request->exec)
		return namespaces_enter(child->spec, err);
	r = namespaces_join(LAUNCH_FD_INIT, err);
	close(LAUNCH_FD_INIT);
	return r;
}

/* Of the container's own: what the agent's holds is not for it. A kernel without keys is fine. */
static int join_keyring(struct child *child, struct error *err)
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

static int set_hostname(struct child *child, struct error *err)
{
	const char *name = child->spec->hostname;

	if (*name && sethostname(name, strlen(name)) < 0)
		return error_errno(err, "sethostname '%s'", name);
	return 0;
}

static int write_sysctls(struct child *child, struct error *err)
{
	return sysctl_apply(child->spec, err);
}

static int open_rootfs(struct child *child, struct error *err)
{
	child->root = rootfs_open(child->request->rootfs, child->spec, err);
	return child->root < 0 ? child->root : 0;
}

static int make_mounts(struct child *child, struct error *err)
{
	return mounts_make(child->root, child->spec, err);
}

static int make_devices(struct child *child, struct error *err)
{
	return mounts_bind_dev(child->spec) ? 0 : devices_make(child->root, child->spec, err);
}

static int make_console(struct child *child, struct error *err)
{
	int r;

	if (!child->process->terminal)
		return 0;
	r = console_open(child->root, child->process->consolesize, &child->console, err);
	return r < 0 ? r : console_mount(child->root, &child->console, err);
}

static int make_cwd(struct child *child, struct error *err)
{
	int fd = in_root_make(child->root, child->process->cwd, S_IFDIR, 0755, err);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int finish_mounts(struct child *child, struct error *err)
{
	return mounts_finish(child->root, child->spec, err);
}

static int protect_paths(struct child *child, struct error *err)
{
	const Grpc__Linux *config = child->spec->linux;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < config->n_readonlypaths; i++)
		r = masked_paths_protect(child->root, config->readonlypaths[i], err);
	return r;
}

static int mask_paths(struct child *child, struct error *err)
{
	const Grpc__Linux *config = child->spec->linux;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < config->n_maskedpaths; i++)
		r = masked_paths_hide(child->root, config->maskedpaths[i], err);
	return r;
}

static int change_root(struct child *child, struct error *err)
{
	const Grpc__Root *root = child->spec->root;
	int r = rootfs_enter(child->root, err);

	close(child->root);
	if (r == 0 && root && root->readonly)
		r = rootfs_protect(err);
	return r;
}

/* An exec's terminal is of the container it has joined. */
static int open_console(struct child *child, struct error *err)
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
static int hand_over_console(struct child *child, struct error *err)
{
	if (!child->process->terminal)
		return 0;
	if (launch_wire_send_console(LAUNCH_FD_SOCKET, child->console.master) < 0)
		return error_errno(err, "send the terminal");
	close(take_fd(&child->console.master));
	return 0;
}

static int attach_console(struct child *child, struct error *err)
{
	int r = 0;

	if (child->process->terminal)
		r = console_connect(&child->console, err);
	return r < 0 || !child->process->terminal ? r : console_control(err);
}

static int set_rlimits(struct child *child, struct error *err)
{
	return rlimits_apply(child->process, err);
}

static int set_no_new_privs(struct child *child, struct error *err)
{
	if (child->process->nonewprivileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "set no_new_privs");
	return 0;
}

static int seccomp_privileged(struct child *child, struct error *err)
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
static int try_cwd(struct child *child, struct error *err)
{
	int r = enter_cwd(child, err);

	return r == -EACCES || r == -EPERM ? 0 : r;
}

static int become_user(struct child *child, struct error *err)
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
static int check_cwd(struct child *child, struct error *err)
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

static int set_caps(struct child *child, struct error *err)
{
	return caps_apply(&child->caps, err);
}

static int make_environment(struct child *child, struct error *err)
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

static int find_executable(struct child *child, struct error *err)
{
	return executable_find(child->process->args[0], environment_get(child->environment, "PATH"),
	                       &child->executable, err);
}

/* Created: all but execve is done. An agent that has gone has no use for us. */
static int wait_for_go(struct child *child, struct error *err)
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

static int seccomp_last(struct child *child, struct error *err)
{
	if (!child->seccomp || !child->process->nonewprivileges)
		return 0;
	return seccomp_install(child->seccomp, err);
}

static int execute(struct child *child, struct error *err)
{
	const Grpc__Process *process = child->process;
	autofree char **argv = mem_alloc((process->n_args + 1) * sizeof(*argv));
	char why[ERRNO_TEXT_SIZE];

	memcpy(argv, process->args, process->n_args * sizeof(*argv));
	execve(child->executable, argv, child->environment);
	return error_set(err, ERROR_INVALID_ARGUMENT, "exec %s: %s", child->executable,
	                 errno_text(errno, why));
}

enum who {
	INIT = 1, /* of a container */
	EXEC = 2, /* in a container that runs */
	BOTH = INIT | EXEC,
};

/* clang-format off: one row a line */
static const struct step {
	enum who who;
	const char *name; /* put before the text of its error; "": the text is runc's own */
	step_fn *run;
} steps[] = {
	{ BOTH, "start a session", start_session },
	{ BOTH, "set the OOM score", set_oom_score },
	{ BOTH, "read the seccomp profile", get_seccomp },
	{ BOTH, "enter the namespaces", enter_namespaces },
	{ BOTH, "join the session keyring", join_keyring },
	{ INIT, "set the hostname", set_hostname },
	{ INIT, "write kernel settings", write_sysctls },
	{ INIT, "open the root file system", open_rootfs },
	{ INIT, "make the mounts", make_mounts },
	{ INIT, "make the devices", make_devices },
	{ INIT, "make the console", make_console },
	{ INIT, "make the working directory", make_cwd },
	{ INIT, "finish the mounts", finish_mounts },
	{ INIT, "protect paths", protect_paths },
	{ INIT, "mask paths", mask_paths },
	{ INIT, "change the root", change_root },
	{ EXEC, "open a console", open_console },
	{ BOTH, "hand over the console", hand_over_console },
	{ BOTH, "attach the console", attach_console },
	{ BOTH, "set resource limits", set_rlimits },
	{ BOTH, "set no_new_privs", set_no_new_privs },
	{ BOTH, "install the seccomp profile", seccomp_privileged },
	{ BOTH, "", try_cwd },
	{ BOTH, "become the user", become_user },
	{ BOTH, "", check_cwd },
	{ BOTH, "set capabilities", set_caps },
	{ BOTH, "make the environment", make_environment },
	{ BOTH, "", find_executable },
	{ BOTH, "wait for the start", wait_for_go },
	{ BOTH, "install the seccomp profile", seccomp_last },
	{ BOTH, "", execute },
};
/* clang-format on */

/* Never returns: the agent reads why. */
static void __attribute__((noreturn)) give_up(const char *step, const struct error *err)
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
		error_set(err, ERROR_INVALID_ARGUMENT, "it is longer than %d bytes",
		          LAUNCH_REQUEST_MAX);
		return NULL;
	}
	data = mem_alloc(st.st_size);
	if (pread(LAUNCH_FD_REQUEST, data, st.st_size, 0) != st.st_size) {
		error_errno(err, "read");
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

int launch_child_main(void)
{
	static const Grpc__User root = GRPC__USER__INIT;
	struct child child = { .root = -1, .console = { .master = -1, .slave = -1 } };
	struct error err = { 0 };
	enum who who;
	size_t i;

	fcntl(LAUNCH_FD_SOCKET, F_SETFD, FD_CLOEXEC);
	fcntl(LAUNCH_FD_INIT, F_SETFD, FD_CLOEXEC);
	fcntl(LAUNCH_FD_SECCOMP, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	reset_process();
	child.request = read_request(&err);
	if (!child.request)
		give_up("read the request", &err);
	child.spec = child.request->spec;
	child.process = child.request->process;
	child.user = child.process->user ? child.process->user : &root;
	who = child.request->exec ? EXEC : INIT;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if ((steps[i].who & who) && steps[i].run(&child, &err) < 0)
			give_up(steps[i].name, &err);
	return 1;
}
