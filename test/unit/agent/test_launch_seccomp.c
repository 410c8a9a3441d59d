#include <criterion/criterion.h>
#include <errno.h>

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

static void run(const char *command)
{
	bench_command(bench.spec->process, command);
	cr_assert_eq(bench_run(&bench), 0, "%s", bench.err.text);
}

static void expect_refusal(const char *command, enum error_code code, const char *text)
{
	bench_command(bench.spec->process, command);
	cr_expect_eq(bench_run(&bench), (int)code);
	cr_expect_str_eq(bench.err.text, text);
}

/* mkdir fails as a full disk would make it. */
static void add_seccomp(void)
{
	Grpc__LinuxSeccomp *profile = mem_alloc(sizeof(*profile));
	Grpc__LinuxSyscall *row = mem_alloc(sizeof(*row));

	grpc__linux_seccomp__init(profile);
	grpc__linux_syscall__init(row);
	row->names = mem_alloc(sizeof(char *));
	row->names[row->n_names++] = mem_strdup("mkdir");
	row->action = mem_strdup("SCMP_ACT_ERRNO");
	row->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	row->errnoret = ENOSPC;
	profile->defaultaction = mem_strdup("SCMP_ACT_ALLOW");
	profile->syscalls = mem_alloc(sizeof(void *));
	profile->syscalls[profile->n_syscalls++] = row;
	bench.spec->linux->seccomp = profile;
}

/* ioctl with an argument 2 of at most 42 and an argument 3 as said. */
static Grpc__LinuxSyscall *row_of_two(char *op, uint64_t value)
{
	Grpc__LinuxSyscall *row = mem_alloc(sizeof(*row));

	grpc__linux_syscall__init(row);
	row->names = mem_alloc(sizeof(char *));
	row->names[row->n_names++] = mem_strdup("ioctl");
	row->action = mem_strdup("SCMP_ACT_KILL");
	row->args = mem_alloc(2 * sizeof(void *));
	for (; row->n_args < 2; row->n_args++) {
		row->args[row->n_args] = mem_alloc(sizeof(*row->args[0]));
		grpc__linux_seccomp_arg__init(row->args[row->n_args]);
	}
	row->args[0]->index = 2;
	row->args[0]->op = mem_strdup("SCMP_CMP_LE");
	row->args[0]->value = 42;
	row->args[1]->index = 3;
	row->args[1]->op = mem_strdup(op);
	row->args[1]->value = value;
	return row;
}

/* libseccomp 2.5 never ends with it; a later one may compile it. */
Test(launch_seccomp, profile_without_end_is_refused)
{
	Grpc__LinuxSeccomp *profile = mem_alloc(sizeof(*profile));
	int r;

	grpc__linux_seccomp__init(profile);
	profile->defaultaction = mem_strdup("SCMP_ACT_ALLOW");
	profile->syscalls = mem_alloc(2 * sizeof(void *));
	profile->syscalls[profile->n_syscalls++] = row_of_two("SCMP_CMP_GE", 8);
	profile->syscalls[profile->n_syscalls++] = row_of_two("SCMP_CMP_NE", 9);
	bench.spec->linux->seccomp = profile;
	bench_command(bench.spec->process, "true");
	r = bench_run(&bench);
	cr_assert(r == 0 || r == ERROR_INVALID_ARGUMENT, "%d", r);
	if (r)
		cr_assert_str_eq(bench.err.text,
		                 "read the seccomp profile: linux.seccomp: libseccomp has not "
		                 "compiled the profile in 5 s of processor time");
}

Test(launch_seccomp, profile_holds_with_no_new_privs)
{
	add_seccomp();
	run("mkdir /x; cat /proc/self/status");
	bench_has(&bench, "No space left on device");
	bench_has(&bench, "Seccomp:\t2\nSeccomp_filters:\t1\n");
}

Test(launch_seccomp, profile_holds_without_no_new_privs)
{
	add_seccomp();
	bench.spec->process->nonewprivileges = 0;
	bench.spec->process->user->uid = 1000;
	run("mkdir /x; cat /proc/self/status");
	bench_has(&bench, "No space left on device");
	bench_has(&bench, "NoNewPrivs:\t0\nSeccomp:\t2\n");
}

Test(launch_seccomp, profile_holds_for_an_exec)
{
	Grpc__Process *process = bench_process(&bench);

	add_seccomp();
	bench_command(bench.spec->process, "sleep 1000");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	bench_command(process, "mkdir /x; cat /proc/self/status");
	cr_assert_eq(bench_exec(&bench, process), 0, "%s", bench.err.text);
	bench_has(&bench, "No space left on device");
	bench_has(&bench, "Seccomp:\t2\n");
	message_free(&process->base);
}

Test(launch_seccomp, profile_that_cannot_be_applied_fails_the_create)
{
	add_seccomp();
	bench.spec->linux->seccomp->syscalls[0]->action[0] = 'X';
	expect_refusal("true", ERROR_INVALID_ARGUMENT,
	               "read the seccomp profile: linux.seccomp: unknown action 'XCMP_ACT_ERRNO'");
}
