/*
 * The steps of agent/launch/launch_child.c: each fails once, by its spec or by a system call that a
 * filter of the test's makes fail. Its name is in front of the error's text, and the container that
 * was not to be leaves nothing.
 *
 * Left out are "make the arguments", which cannot fail, and an exec's second "start a session",
 * which fails as its first does.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/launch/launch_wire.h"
#include "common/file.h"
#include "common/mem.h"
#include "container_bench.h"
#include "proto/message.h"
#include "test/unit/open_descriptors.h"

#define MOUNTS_MAX (1 << 20)
#define WAIT_MS    60000

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A call that fails with @error if of its arguments, their lower halves, @of masked is @value. */
struct fault {
	int number; /* 0: none */
	int error;
	struct {
		uint32_t of, mask, value;
	} arguments[2]; /* without a mask: any */
};

struct row {
	const char *text;
	bool exec;
	bool created;                   /* before it fails */
	void (*spec)(Grpc__Spec *spec); /* NULL: as it is */
	void (*process)(Grpc__Process *process);
	struct fault fault;
};

static struct bench bench;

static void replace(char **text, const char *with)
{
	free(*text);
	*text = mem_strdup(with);
}

static void terminal(Grpc__Process *process)
{
	process->terminal = 1;
}

static void wrong_oom_score(Grpc__Process *process)
{
	process->oomscoreadj = 1001;
}

static void cwd_below_a_file(Grpc__Process *process)
{
	replace(&process->cwd, "/etc/passwd/x");
}

static void missing_cwd(Grpc__Process *process)
{
	replace(&process->cwd, "/nosuch");
}

static void limit_descriptors(Grpc__Process *process, uint64_t soft, uint64_t hard)
{
	Grpc__POSIXRlimit *row = mem_alloc(sizeof(*row));

	grpc__posixrlimit__init(row);
	row->type = mem_strdup("RLIMIT_NOFILE");
	row->soft = soft;
	row->hard = hard;
	process->rlimits = mem_alloc(sizeof(void *));
	process->rlimits[process->n_rlimits++] = row;
}

static void soft_limit_above_hard(Grpc__Process *process)
{
	limit_descriptors(process, 24, 12);
}

static void no_descriptors(Grpc__Process *process)
{
	limit_descriptors(process, 0, 0);
}

static void no_such_command(Grpc__Process *process)
{
	bench_command(process, "nosuch");
}

static void no_program(Grpc__Process *process)
{
	bench_write(&bench, "bin/text", "no program\n", 0755);
	bench_command(process, "/bin/text");
}

static void wrong_sysctl(Grpc__Spec *spec)
{
	Grpc__Linux__SysctlEntry *entry = mem_alloc(sizeof(*entry));

	grpc__linux__sysctl_entry__init(entry);
	entry->key = mem_strdup("kernel.msgmax");
	entry->value = mem_strdup("x");
	spec->linux->sysctl = mem_alloc(sizeof(void *));
	spec->linux->sysctl[0] = entry;
	spec->linux->n_sysctl = 1;
}

/* Of all mounts. */
static void read_only(Grpc__Spec *spec, const char *destination)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		Grpc__Mount *mount = spec->mounts[i];

		for (size_t j = 0; j < mount->n_options; j++)
			if (!strcmp(mount->options[j], "ro"))
				replace(&mount->options[j], "rw");
		if (!strcmp(mount->destination, destination))
			replace(&mount->options[1], "ro");
	}
}

static void read_only_dev(Grpc__Spec *spec)
{
	read_only(spec, "/dev");
}

static void no_read_only_mount(Grpc__Spec *spec)
{
	read_only(spec, "");
}

static void masked_tmp(Grpc__Spec *spec)
{
	replace(&spec->linux->maskedpaths[0], "/tmp");
}

static void profile(Grpc__Spec *spec)
{
	bench_seccomp(&bench, "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
}

/* The process calls this before its execve. */
static void profile_without_read(Grpc__Spec *spec)
{
	bench_seccomp(&bench, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["
	                      "\"read\"],\"action\":\"SCMP_ACT_ERRNO\"}]}");
}

/* clang-format off */
#define ARG(n, is)          { { n, ~0U, is } }
#define EXEC                .exec = true
#define FAIL(call, ...)     .fault = { SYS_##call, EPERM, __VA_ARGS__ }
#define INSTALL_FILTER      FAIL(seccomp, ARG(0, SECCOMP_SET_MODE_FILTER))
#define NOT_PERMITTED(text) text ": Operation not permitted"

/* In the order of the steps. */
static const struct row rows[] = {
	{ NOT_PERMITTED("start a session: cannot start a session"), FAIL(setsid) },
	{ "set the OOM score: cannot write \"1001\" to \"oom_score_adj\": Invalid argument",
	  .process = wrong_oom_score },
	{ "read the seccomp profile: the container's seccomp program is lost", .spec = profile,
	  FAIL(preadv) },
	{ NOT_PERMITTED("enter the namespaces: cannot make a cgroup namespace"), FAIL(unshare) },
	{ NOT_PERMITTED("enter the namespaces: cannot join the container's namespaces"), EXEC,
	  FAIL(setns) },
	{ NOT_PERMITTED("join the session keyring: cannot join session keyring \"_ses.bench\""),
	  FAIL(keyctl) },
	{ NOT_PERMITTED("set the hostname: cannot set the hostname \"bench\""), FAIL(sethostname) },
	{ "write kernel settings: cannot write \"x\" to \"kernel/msgmax\": Invalid argument",
	  .spec = wrong_sysctl },
	{ NOT_PERMITTED("open the root file system: cannot make \"/\" private"),
	  FAIL(mount, ARG(3, MS_SLAVE | MS_REC)) },
	{ NOT_PERMITTED("make the mounts: cannot mount \"proc\" (proc) on \"/proc\" with \"\""),
	  FAIL(fsopen) },
	{ NOT_PERMITTED("make the devices: cannot make device \"/dev/null\""), FAIL(mknodat) },
	{ NOT_PERMITTED("make the console: cannot unlock the terminal"), .process = terminal,
	  FAIL(ioctl, ARG(1, TIOCSPTLCK)) },
	{ "make the working directory: cannot make \"/etc/passwd/x\" in the root file system: "
	  "Not a directory",
	  .process = cwd_below_a_file },
	{ NOT_PERMITTED("finish the mounts: cannot make \"/dev\" read-only"), .spec = read_only_dev,
	  FAIL(mount_setattr) },
	{ NOT_PERMITTED("protect paths: cannot make \"/proc/sys\" read-only"),
	  .spec = no_read_only_mount, FAIL(mount_setattr) },
	{ NOT_PERMITTED("mask paths: cannot mask \"/tmp\""), .spec = masked_tmp,
	  FAIL(fsmount, ARG(2, MOUNT_ATTR_RDONLY)) },
	{ NOT_PERMITTED("change the root: cannot pivot the root"), FAIL(pivot_root) },
	{ NOT_PERMITTED("open a console: cannot unlock the terminal"), EXEC, .process = terminal,
	  FAIL(ioctl, ARG(1, TIOCSPTLCK)) },
	{ NOT_PERMITTED("hand over the console: cannot send the terminal"), .process = terminal,
	  FAIL(sendmsg, ARG(0, LAUNCH_FD_SOCKET)) },
	/* Not the descriptors of 64 and more that launch.c moves. */
	{ NOT_PERMITTED("connect the console: cannot connect the terminal to descriptor 0"),
	  .process = terminal, FAIL(dup2, { { 0, ~63U, 0 } }) },
	{ NOT_PERMITTED("take control of the console: cannot set the controlling terminal"),
	  .process = terminal, FAIL(ioctl, ARG(1, TIOCSCTTY)) },
	{ "set resource limits: cannot set RLIMIT_NOFILE to 24 of 12: Invalid argument",
	  .process = soft_limit_above_hard },
	{ NOT_PERMITTED("set no_new_privs: cannot set no_new_privs"),
	  FAIL(prctl, ARG(0, PR_SET_NO_NEW_PRIVS)) },
	{ "chdir to cwd (\"/nosuch\") set in config.json failed: no such file or directory", EXEC,
	  .process = missing_cwd },
	{ NOT_PERMITTED("become the user: cannot set 0 additional groups"), FAIL(setgroups) },
	{ "cwd (\"/\") is outside of the container's root", FAIL(getcwd) },
	{ NOT_PERMITTED("set capabilities: cannot set capabilities"), FAIL(capset) },
	{ "make the environment: cannot open \"/\": Too many open files",
	  .process = no_descriptors },
	{ "exec: \"nosuch\": executable file not found in $PATH", .process = no_such_command },
	{ NOT_PERMITTED("close descriptors: cannot close the descriptors"),
	  FAIL(close_range, ARG(0, LAUNCH_FD_SOCKET + 2)) },
	{ NOT_PERMITTED("install the seccomp profile: linux.seccomp: cannot install the program"),
	  .spec = profile, INSTALL_FILTER },
	{ NOT_PERMITTED("enter the pid namespace: cannot clone into the pid namespace"), EXEC,
	  FAIL(clone, ARG(0, CLONE_PARENT | SIGCHLD)) },
	{ NOT_PERMITTED("take control of the console: cannot set the controlling terminal"), EXEC,
	  .process = terminal, FAIL(ioctl, ARG(1, TIOCSCTTY)) },
	/* So it cannot say why either. */
	{ "the container's process died before it could run (killed, or out of memory)",
	  FAIL(write, { { 0, ~0U, LAUNCH_FD_SOCKET },
	                { 2, ~0U, sizeof(struct launch_message) } }) },
	{ NOT_PERMITTED("install the seccomp profile: linux.seccomp: cannot install the program"),
	  .spec = profile_without_read, INSTALL_FILTER, .created = true },
	{ "exec /bin/text: exec format error", .process = no_program, .created = true },
};
/* clang-format on */

/* What other tests mount meanwhile is not seen: mounts are compared. */
static void setup(void)
{
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	bench_init(&bench);
}

static void teardown(void)
{
	bench_fini(&bench);
}

static struct sock_filter load(size_t at)
{
	return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)at);
}

/* From here on, in this process and its children. */
static void inject(const struct fault *fault)
{
	struct sock_filter ops[12];
	struct sock_fprog program = { .filter = ops };
	unsigned short n = 0;

	/* A jump that is not met goes to the end: each argument is three operations. */
	ops[n++] = load(offsetof(struct seccomp_data, nr));
	ops[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ, fault->number, 0, 7);
	for (size_t i = 0; i < COUNT(fault->arguments); i++) {
		ops[n++] = load(offsetof(struct seccomp_data, args) +
		                fault->arguments[i].of * sizeof(uint64_t));
		ops[n++] =
			(struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND, fault->arguments[i].mask);
		ops[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ, fault->arguments[i].value, 0, i == 0 ? 4 : 1);
	}
	ops[n++] = (struct sock_filter)BPF_STMT(BPF_RET, SECCOMP_RET_ERRNO | fault->error);
	ops[n++] = (struct sock_filter)BPF_STMT(BPF_RET, SECCOMP_RET_ALLOW);
	program.len = n;
	cr_assert_eq(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), 0);
}

static char *read_mounts(void)
{
	char *text = NULL;

	cr_assert_gt(file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTS_MAX, &text, NULL), 0);
	return text;
}

static bool is_in_cgroup(pid_t pid)
{
	char procs[4096];
	int fd = openat(cgroup_fd(bench.cgroup), "cgroup.procs", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, procs, sizeof(procs) - 1);
	autofree char *line = pid ? mem_printf("%d\n", pid) : mem_strdup("");

	close(fd);
	procs[n < 0 ? 0 : n] = '\0';
	return !strcmp(procs, line);
}

/* The agent's loop reaps its children; one that is killed takes its time. */
static void expect_no_process_but(pid_t init)
{
	for (int i = 0; i < WAIT_MS && !is_in_cgroup(init); i++)
		usleep(1000);
	cr_expect(is_in_cgroup(init), "a process is left in the cgroup");
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (init)
		cr_expect_eq(waitpid(-1, NULL, WNOHANG), 0);
	else
		cr_expect(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "a child is left");
}

static void expect_failure(const struct row *row, const Grpc__Process *process)
{
	autofree char *mounts = read_mounts();
	autofree char *mounts_after = NULL;
	int descriptors = open_descriptors();

	if (row->fault.number)
		inject(&row->fault);
	cr_expect_neq(row->exec ? bench_exec(&bench, process) : bench_run(&bench), 0);
	cr_expect_str_eq(bench.err.text, row->text);
	cr_expect_eq(bench.created, row->created);
	expect_no_process_but(bench.init ? launch_pid(bench.init) : 0);
	cr_expect_eq(open_descriptors(), descriptors);
	mounts_after = read_mounts();
	cr_expect_str_eq(mounts_after, mounts);
}

ParameterizedTestParameters(launch_steps, one_that_fails_is_named_and_leaves_nothing)
{
	static size_t indexes[COUNT(rows)];

	for (size_t i = 0; i < COUNT(rows); i++)
		indexes[i] = i;
	return cr_make_param_array(size_t, indexes, COUNT(rows));
}

ParameterizedTest(const size_t *n, launch_steps, one_that_fails_is_named_and_leaves_nothing,
                  .init = setup, .fini = teardown)
{
	const struct row *row = &rows[*n];
	Grpc__Process *process = NULL;

	if (row->spec)
		row->spec(bench.spec);
	bench_command(bench.spec->process, row->exec ? "sleep 1000" : "true");
	if (row->exec) {
		cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
		process = bench_process(&bench);
		bench_command(process, "true");
	}
	if (row->process)
		row->process(row->exec ? process : bench.spec->process);
	expect_failure(row, process);
	if (process)
		message_free(&process->base);
}
