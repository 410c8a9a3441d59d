#include <criterion/criterion.h>

#include "common/mem.h"
#include "container_bench.h"
#include "proto/message.h"

static struct bench bench;

static void setup(void)
{
	bench_init(&bench);
}

static void teardown(void)
{
	bench_fini(&bench);
}

TestSuite(launch_seccomp, .init = setup, .fini = teardown);

/* mkdir fails as a full disk would make it. */
#define NO_MKDIR                                                                                   \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\"],"              \
	"\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":28}]}"

/* Two conditions for ioctl. */
#define ENDLESS                                                                                    \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["                                     \
	"{\"names\":[\"ioctl\"],\"action\":\"SCMP_ACT_KILL\",\"args\":["                           \
	"{\"index\":2,\"op\":\"SCMP_CMP_LE\",\"value\":42},"                                       \
	"{\"index\":3,\"op\":\"SCMP_CMP_GE\",\"value\":8}]},"                                      \
	"{\"names\":[\"ioctl\"],\"action\":\"SCMP_ACT_KILL\",\"args\":["                           \
	"{\"index\":2,\"op\":\"SCMP_CMP_LE\",\"value\":42},"                                       \
	"{\"index\":3,\"op\":\"SCMP_CMP_NE\",\"value\":9}]}]}"

/* What runc calls behind its own filter, without its threads, and what cat needs. */
#define MINIMUM(more)                                                                              \
	"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[" more                    \
	"\"capget\",\"capset\",\"chdir\",\"close\",\"execve\",\"exit_group\",\"fchown\","          \
	"\"fcntl\","                                                                               \
	"\"fstat\",\"futex\",\"getdents64\",\"getpid\",\"getppid\",\"mmap\",\"munmap\","           \
	"\"newfstatat\",\"openat\",\"prctl\",\"read\",\"rt_sigaction\",\"rt_sigprocmask\","        \
	"\"rt_sigreturn\",\"setgid\",\"setgroups\",\"setuid\",\"write\","                          \
	"\"arch_prctl\",\"brk\",\"getuid\",\"mprotect\",\"open\",\"prlimit64\",\"readlink\","      \
	"\"set_robust_list\",\"set_tid_address\"],\"action\":\"SCMP_ACT_ALLOW\"}]}"

static void command_cat(Grpc__Process *process)
{
	bench_command(process, "cat");
	process->args[process->n_args++] = mem_strdup("/proc/self/status");
}

/* libseccomp 2.5 never ends with it; a later one may compile it. */
Test(launch_seccomp, profile_without_end_is_refused)
{
	int r;

	bench_seccomp(&bench, ENDLESS);
	bench_command(bench.spec->process, "true");
	r = bench_run(&bench);
	cr_assert(r == 0 || r == ERROR_INVALID_ARGUMENT, "%d", r);
	if (r)
		cr_assert_str_eq(bench.err.text, "read the seccomp profile: cannot compile "
		                                 "linux.seccomp: not done within 5 s of CPU time");
}

Test(launch_seccomp, profile_holds_with_no_new_privs)
{
	bench_seccomp(&bench, NO_MKDIR);
	bench_runs(&bench, "mkdir /x; cat /proc/self/status");
	bench_has(&bench, "No space left on device");
	bench_has_lines(&bench, "Seccomp:\t2\nSeccomp_filters:\t1");
}

Test(launch_seccomp, profile_holds_without_no_new_privs)
{
	bench_seccomp(&bench, NO_MKDIR);
	bench.spec->process->nonewprivileges = 0;
	bench.spec->process->user->uid = 1000;
	bench_runs(&bench, "mkdir /x; cat /proc/self/status");
	bench_has(&bench, "No space left on device");
	bench_has_lines(&bench, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000");
	bench_has_lines(&bench, "NoNewPrivs:\t0\nSeccomp:\t2");
}

/* The program is read ahead behind the filter, or else before it. */
Test(launch_seccomp, profile_need_not_allow_what_reads_the_program_ahead)
{
	bench_seccomp(&bench, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["
	                      "\"readahead\",\"poll\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"}]}");
	bench_runs(&bench, "echo runs");
	bench_has(&bench, "runs");
}

static void expect_exec(Grpc__Process *process, const char *privileges)
{
	command_cat(process);
	cr_assert_eq(bench_exec(&bench, process), 0, "%s", bench.err.text);
	bench_has_lines(&bench, "CapPrm:\t00000000080000a1\nCapEff:\t00000000080000a1");
	bench_has_lines(&bench, privileges);
}

Test(launch_seccomp, profile_holds_for_an_exec)
{
	Grpc__Process *process = bench_process(&bench);

	bench_seccomp(&bench, NO_MKDIR);
	bench_command(bench.spec->process, "sleep 1000");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	bench_command(process, "mkdir /x; cat /proc/self/status");
	cr_assert_eq(bench_exec(&bench, process), 0, "%s", bench.err.text);
	bench_has(&bench, "No space left on device");
	bench_has_lines(&bench, "Seccomp:\t2");
	process->nonewprivileges = 0;
	expect_exec(process, "NoNewPrivs:\t0\nSeccomp:\t2");
	message_free(&process->base);
}

/* A network is not among it, nor is making a process. */
Test(launch_seccomp, profile_need_not_allow_more_than_under_runc)
{
	Grpc__Process *process = bench.spec->process;

	process->nonewprivileges = 0;
	bench_seccomp(&bench, MINIMUM(""));
	command_cat(process);
	cr_assert_eq(bench_run(&bench), 0, "%s", bench.err.text);
	bench_has_lines(&bench, "CapPrm:\t00000000080000a1\nCapEff:\t00000000080000a1");
	bench_has_lines(&bench, "NoNewPrivs:\t0\nSeccomp:\t2");
}

/* Sanitizers call the last three where a process ends. */
Test(launch_seccomp, profile_that_fails_execve_is_told)
{
	bench.spec->process->nonewprivileges = 0;
	bench_seccomp(
		&bench,
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":["
		"\"capset\",\"read\",\"write\",\"exit_group\",\"mmap\",\"sigaltstack\",\"gettid\"],"
		"\"action\":\"SCMP_ACT_ALLOW\"}]}");
	bench_refuses(&bench, "true", ERROR_INVALID_ARGUMENT,
	              "exec /bin/true: operation not permitted");
}

Test(launch_seccomp, minimum_does_for_an_exec)
{
	Grpc__Process *process = bench_process(&bench);

	process->nonewprivileges = 0;
	bench_seccomp(&bench, MINIMUM("\"nanosleep\",\"clock_nanosleep\","));
	bench_command(bench.spec->process, "sleep");
	bench.spec->process->args[bench.spec->process->n_args++] = mem_strdup("1000");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	expect_exec(process, "NoNewPrivs:\t1\nSeccomp:\t2");
	message_free(&process->base);
}

Test(launch_seccomp, profile_that_cannot_be_applied_fails_the_create)
{
	bench_seccomp(&bench, NO_MKDIR);
	bench.spec->linux->seccomp->syscalls[0]->action[0] = 'X';
	bench_refuses(&bench, "true", ERROR_INVALID_ARGUMENT,
	              "read the seccomp profile: invalid linux.seccomp action \"XCMP_ACT_ERRNO\": "
	              "unknown");
}
