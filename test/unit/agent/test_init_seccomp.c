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

TestSuite(init_seccomp, .init = setup, .fini = teardown);

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

Test(init_seccomp, profile_holds_with_no_new_privs)
{
	add_seccomp();
	run("mkdir /x; cat /proc/self/status");
	bench_has(&bench, "No space left on device");
	bench_has(&bench, "Seccomp:\t2\nSeccomp_filters:\t1\n");
}

Test(init_seccomp, profile_holds_without_no_new_privs)
{
	add_seccomp();
	bench.spec->process->nonewprivileges = 0;
	bench.spec->process->user->uid = 1000;
	run("mkdir /x; cat /proc/self/status");
	bench_has(&bench, "No space left on device");
	bench_has(&bench, "NoNewPrivs:\t0\nSeccomp:\t2\n");
}

Test(init_seccomp, profile_holds_for_an_exec)
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

Test(init_seccomp, profile_that_cannot_be_applied_fails_the_create)
{
	add_seccomp();
	bench.spec->linux->seccomp->syscalls[0]->action[0] = 'X';
	expect_refusal("true", ERROR_INVALID_ARGUMENT,
	               "read the seccomp profile: linux.seccomp: unknown action 'XCMP_ACT_ERRNO'");
}
