#include "common/loop/proc.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/loop/reaper.h"
#include "common/mem.h"

#define CHILD_FAILED 127
#define CORE_PRIVATE "0x31" /* core(5): private memory, ELF headers, private huge pages */

struct proc {
	struct ev_loop *loop;
	pid_t pid;
	int pidfd;
	bool killed; /* SIGKILL has been sent */
	bool reaped;
	bool told; /* on_exit has been called */
	ev_io watcher;
	ev_timer grace; /* since SIGKILL */
	proc_exit_fn *on_exit;
	void *ctx;
};

/* What a child that could not execute writes to its parent; the pointer is good in both. */
struct failure {
	const char *step;
	int cause;
};

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

static int child_execute(const struct proc_spec *spec)
{
	static char *const nothing[] = { NULL };
	char *const *envp = spec->envp ? (char *const *)spec->envp : nothing;

	return execve(spec->argv[0], (char *const *)spec->argv, envp);
}

static const struct child_step {
	const char *name;
	int (*run)(const struct proc_spec *spec); /* -1 and errno on failure */
} child_steps[] = {
	{ "reset signals", child_reset_signals },
	{ "set descriptors", child_set_descriptors },
	{ "set the oom_score_adj", child_set_oom_score_adj },
	{ "restrict the core dump", child_restrict_core },
	{ "leave the network", child_leave_network },
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
	struct failure failure = { .step = step, .cause = errno };

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

/* Between fork and exec. The report's descriptor is close-on-exec: its end of file is the success.
 */
static _Noreturn void child_main(const struct proc_spec *spec, int report_fd)
{
	report_fd = fcntl(report_fd, F_DUPFD_CLOEXEC, PROC_PLACES);
	if (report_fd < 0)
		_exit(CHILD_FAILED);
	for (size_t i = 0; i < sizeof(child_steps) / sizeof(child_steps[0]); i++)
		if (child_steps[i].run(spec) < 0)
			child_fail(report_fd, child_steps[i].name);
	if (!spec->no_pdeathsig && !child_has_parent(report_fd))
		_exit(CHILD_FAILED); /* it died before the signal was set */
	child_execute(spec);
	child_fail(report_fd, "execute");
}

/* Waits for the exec, or takes the child's report of what failed. */
static int await_exec(int report_fd, const char *path, struct error *err)
{
	struct failure failure;
	ssize_t n;

	do
		n = read(report_fd, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != sizeof(failure))
		return error_errno(err, "start '%s': read the child's report", path);
	errno = failure.cause;
	return error_errno(err, "%s '%s'", failure.step, path);
}

/* Its last act is the callback, which may destroy @proc. */
static void tell_exit(struct proc *proc, int status)
{
	proc->told = true;
	ev_io_stop(proc->loop, &proc->watcher);
	ev_timer_stop(proc->loop, &proc->grace);
	if (proc->on_exit)
		proc->on_exit(proc->ctx, status);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct proc *proc = watcher->data;
	int status;

	if (!reaper_try(proc->pid, &status))
		return;
	proc->reaped = true;
	tell_exit(proc, status);
}

static void on_grace_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	tell_exit(timer->data, PROC_STUCK);
}

static struct proc *proc_new(struct ev_loop *loop, pid_t pid, int pidfd)
{
	struct proc *proc = mem_new(struct proc);

	proc->loop = loop;
	proc->pid = pid;
	proc->pidfd = pidfd;
	ev_io_init(&proc->watcher, on_readable, pidfd, EV_READ);
	ev_set_priority(&proc->watcher, 1); /* an end that is there wins over the deadline for it */
	ev_timer_init(&proc->grace, on_grace_over, PROC_KILL_GRACE_MS / 1e3, 0);
	ev_set_priority(&proc->watcher, EV_MAXPRI);
	proc->watcher.data = proc->grace.data = proc;
	ev_io_start(loop, &proc->watcher);
	return proc;
}

/* As fork(), with flags, for which glibc has no function. The pidfd comes with the child: there is
 * no child that nobody can watch. */
static pid_t fork_child(const struct proc_spec *spec, int *pidfd)
{
	unsigned long flags = SIGCHLD | CLONE_PIDFD | (spec->own_pids ? CLONE_NEWPID : 0);

	return (pid_t)syscall(SYS_clone, flags, NULL, pidfd, NULL, 0);
}

int proc_spawn(struct ev_loop *loop, const struct proc_spec *spec, proc_exit_fn *on_exit, void *ctx,
               struct proc **out, struct error *err)
{
	autodestroy(proc) struct proc *proc = NULL;
	autoclose int report_fd = -1;
	int ends[2], pidfd, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "start '%s': make a pipe", spec->argv[0]);
	report_fd = ends[0];
	pid = fork_child(spec, &pidfd);
	if (pid == 0) {
		close(ends[0]);
		child_main(spec, ends[1]);
	}
	r = pid < 0 ? error_errno(err, "start '%s': fork", spec->argv[0]) : 0;
	close(ends[1]);
	if (r < 0)
		return r;
	proc = proc_new(loop, pid, pidfd);
	r = await_exec(report_fd, spec->argv[0], err);
	if (r < 0)
		return r;
	proc->on_exit = on_exit;
	proc->ctx = ctx;
	*out = take_ptr(&proc);
	return 0;
}

pid_t proc_pid(const struct proc *proc)
{
	return proc->pid;
}

int proc_kill(struct proc *proc, int sig)
{
	if (proc->told)
		return -ESRCH;
	if (sig == SIGKILL && !proc->killed) {
		proc->killed = true;
		ev_now_update(proc->loop);
		ev_timer_start(proc->loop, &proc->grace);
	}
	return pidfd_send_signal(proc->pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

bool proc_ended(const struct proc *proc)
{
	return proc->told;
}

void proc_release(struct proc *proc)
{
	if (!proc)
		return;
	ev_io_stop(proc->loop, &proc->watcher);
	ev_timer_stop(proc->loop, &proc->grace);
	if (proc->reaped)
		close(proc->pidfd);
	else
		reaper_take(proc->loop, proc->pid, proc->pidfd, proc->killed);
	free(proc);
}

void proc_destroy(struct proc *proc)
{
	if (proc)
		proc_kill(proc, SIGKILL);
	proc_release(proc);
}

void proc_describe(int status, char *text, size_t size)
{
	if (status == PROC_STUCK)
		snprintf(text, size, "did not end within %d ms of SIGKILL", PROC_KILL_GRACE_MS);
	else if (WIFSIGNALED(status))
		snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status),
		         strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "exited with status %d", WEXITSTATUS(status));
}
