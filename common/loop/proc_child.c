#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/loop/proc_internal.h"

#define CHILD_FAILED 127
#define CORE_PRIVATE "0x31" /* core(5): private memory, ELF headers, private huge pages */

/* Ignored signals and the mask would outlive the exec. */
static int child_reset_signals(const struct proc_spec *spec)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The descriptor that becomes @as of the child: out of the way of all that have a place. -1: none
 * is given, which is no failure above 2. */
static int child_source_of(const struct proc_spec *spec, int as)
{
	for (size_t i = 0; i < spec->nfds; i++) {
		const struct proc_fd *fd = &spec->fds[i];

		if (fd->as == as || (fd->as < 0 && fd->fd == as))
			return fcntl(fd->fd, F_DUPFD_CLOEXEC, PROC_PLACES);
	}
	errno = 0;
	return -1;
}

static int child_open_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, PROC_PLACES);
}

/* dup2() leaves the descriptors of a place open over the exec; but see close_range() after it. */
static int child_fill_places(const int sources[PROC_PLACES])
{
	for (int i = 0; i < PROC_PLACES; i++)
		if (sources[i] >= 0 && dup2(sources[i], i) < 0)
			return -1;
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	for (int i = 3; i < PROC_PLACES; i++)
		if (sources[i] >= 0 && fcntl(i, F_SETFD, 0) < 0)
			return -1;
	return 0;
}

static int child_set_descriptors(const struct proc_spec *spec)
{
	int sources[PROC_PLACES];

	for (int i = 0; i < PROC_PLACES; i++) {
		sources[i] = child_source_of(spec, i);
		if (sources[i] < 0 && errno)
			return -1;
		if (i < 3 && sources[i] < 0 && (sources[i] = child_open_null()) < 0)
			return -1;
	}
	if (child_fill_places(sources) < 0)
		return -1;
	for (size_t i = 0; i < spec->nfds; i++)
		if (spec->fds[i].as < 0 && fcntl(spec->fds[i].fd, F_SETFD, 0) < 0)
			return -1;
	return 0;
}

static int write_own(const char *name, const char *value)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, value, strlen(value));

	return n < 0 ? -1 : close(fd);
}

static int child_set_oom_score_adj(const struct proc_spec *spec)
{
	char value[16];

	if (!spec->oom_score_adj)
		return 0;
	snprintf(value, sizeof(value), "%d", *spec->oom_score_adj);
	return write_own("/proc/self/oom_score_adj", value) < 0 && errno != EACCES ? -1 : 0;
}

static int child_restrict_core(const struct proc_spec *spec)
{
	return spec->no_shared_core ? write_own("/proc/self/coredump_filter", CORE_PRIVATE) : 0;
}

/* Before descriptors are moved. */
static int child_enter_network(const struct proc_spec *spec)
{
	return spec->network ? setns(*spec->network, CLONE_NEWNET) : 0;
}

static int child_enter_mounts(const struct proc_spec *spec)
{
	return spec->mounts ? setns(*spec->mounts, CLONE_NEWNS) : 0;
}

static int child_enter_dir(const struct proc_spec *spec)
{
	return spec->dir ? chdir(spec->dir) : 0;
}

/* After all that needs ours. */
static int child_enter_root(const struct proc_spec *spec)
{
	int fd = spec->root ? open(spec->root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (!spec->root)
		return 0;
	return fd < 0 || fchdir(fd) < 0 || chroot(".") < 0 ? -1 : close(fd);
}

static int child_leave_network(const struct proc_spec *spec)
{
	return spec->no_network ? unshare(CLONE_NEWNET) : 0;
}

static int child_drop_groups(const struct proc_spec *spec)
{
	return spec->uid ? setgroups(0, NULL) : 0;
}

static int child_drop_bounding_set(const struct proc_spec *spec)
{
	for (int cap = 0; spec->uid && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -1;
	return 0;
}

static int child_set_gid(const struct proc_spec *spec)
{
	return spec->uid ? setresgid(spec->gid, spec->gid, spec->gid) : 0;
}

static int child_set_uid(const struct proc_spec *spec)
{
	return spec->uid ? setresuid(spec->uid, spec->uid, spec->uid) : 0;
}

static int child_drop_capabilities(const struct proc_spec *spec)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return spec->uid ? (int)syscall(SYS_capset, &header, none) : 0;
}

static int child_forbid_new_privileges(const struct proc_spec *spec)
{
	return spec->no_new_privs ? prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) : 0;
}

static int child_die_with_parent(const struct proc_spec *spec)
{
	return spec->no_pdeathsig ? 0 : prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static int child_execute(const struct proc_spec *spec, int program)
{
	static char *const nothing[] = { NULL };
	char *const *envp = spec->envp ? (char *const *)spec->envp : nothing;

	if (program >= 0)
		return execveat(program, "", (char *const *)spec->argv, envp, AT_EMPTY_PATH);
	return execve(spec->path ? spec->path : spec->argv[0], (char *const *)spec->argv, envp);
}

static const struct child_step {
	const char *name;
	int (*run)(const struct proc_spec *spec); /* -1 and errno on failure */
} child_steps[] = {
	{ "reset signals", child_reset_signals },
	{ "enter the network of", child_enter_network },
	{ "enter the mount namespace of", child_enter_mounts },
	{ "enter the working directory of", child_enter_dir },
	{ "set descriptors", child_set_descriptors },
	{ "set the oom_score_adj", child_set_oom_score_adj },
	{ "restrict the core dump", child_restrict_core },
	{ "leave the network", child_leave_network },
	{ "enter the root directory of", child_enter_root },
	{ "drop groups", child_drop_groups },
	{ "drop the capability bounding set", child_drop_bounding_set },
	{ "set the gid", child_set_gid },
	{ "set the uid", child_set_uid },
	{ "drop capabilities", child_drop_capabilities },
	{ "forbid new privileges", child_forbid_new_privileges },
	{ "set the parent death signal", child_die_with_parent },
};

static _Noreturn void child_fail(int report_fd, const char *step)
{
	struct proc_failure failure = { .step = step, .cause = errno };

	if (write(report_fd, &failure, sizeof(failure)) < 0)
		_exit(CHILD_FAILED); /* the parent is dead */
	_exit(CHILD_FAILED);
}

/* The report's reader is nobody else. getppid() says nothing in a PID namespace of one's own. */
static bool child_has_parent(int report_fd)
{
	struct pollfd report = { .fd = report_fd };

	return poll(&report, 1, 0) == 0;
}

/* The lowest descriptor from @first on that the child was given; -1: none. */
static int child_next_given(const struct proc_spec *spec, int first)
{
	int next = -1;

	for (size_t i = 0; i < spec->nfds; i++) {
		int fd = spec->fds[i].as < 0 ? spec->fds[i].fd : spec->fds[i].as;

		if (fd >= first && (next < 0 || fd < next))
			next = fd;
	}
	return next;
}

static void child_close_others(const struct proc_spec *spec)
{
	int first = 3;
	int given;

	while ((given = child_next_given(spec, first)) >= 0) {
		if (given > first)
			close_range(first, given - 1, 0);
		first = given + 1;
	}
	close_range(first, ~0U, 0);
}

/* Instead of an exec: everything but what the child was given is closed. The report's descriptor
 * goes with it, which tells the parent that the function runs. */
static _Noreturn void child_call(const struct proc_spec *spec)
{
	child_close_others(spec);
	_exit(spec->main(spec->main_ctx));
}

_Noreturn void proc_child(const struct proc_spec *spec, int report_fd)
{
	int program = -1;

	report_fd = fcntl(report_fd, F_DUPFD_CLOEXEC, PROC_PLACES);
	if (report_fd < 0)
		_exit(CHILD_FAILED);
	if (spec->program && (program = fcntl(*spec->program, F_DUPFD_CLOEXEC, PROC_PLACES)) < 0)
		child_fail(report_fd, "execute");
	for (size_t i = 0; i < sizeof(child_steps) / sizeof(child_steps[0]); i++)
		if (child_steps[i].run(spec) < 0)
			child_fail(report_fd, child_steps[i].name);
	if (!spec->no_pdeathsig && !child_has_parent(report_fd))
		_exit(CHILD_FAILED); /* it died before the signal was set */
	if (spec->main)
		child_call(spec);
	child_execute(spec, program);
	child_fail(report_fd, "execute");
}
