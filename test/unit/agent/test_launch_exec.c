#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

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

TestSuite(launch_exec, .init = setup, .fini = teardown);

Test(launch_exec, joins_the_container)
{
	Grpc__Process *process = bench_process(&bench);

	bench_command(bench.spec->process, "sleep 1000");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	bench_command(process,
	              "ps; hostname; cat /proc/self/cgroup; cat /proc/self/status; exit 3");
	cr_assert_eq(bench_exec(&bench, process), 0, "%s", bench.err.text);
	bench_has(&bench, "sleep 1000\n");
	bench_has_lines(&bench, "bench");
	bench_has_lines(&bench, "0::/");
	bench_has_lines(&bench, "CapEff:\t00000000080000a1");
	bench_has_not(&bench, "test_agent_launch");
	cr_expect_eq(WEXITSTATUS(bench.status), 3);
	bench_command(process, "nosuch");
	cr_expect_eq(bench_exec(&bench, process), ERROR_NOT_FOUND);
	message_free(&process->base);
}

Test(launch_exec, has_a_terminal_and_a_user_of_its_own)
{
	Grpc__Process *process = bench_process(&bench);

	bench_command(bench.spec->process, "sleep 1000");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	process->terminal = 1;
	process->user->uid = 1000;
	bench_command(process, "tty; id -u; stat -c %u /dev/pts/0");
	cr_assert_eq(bench_exec(&bench, process), 0, "%s", bench.err.text);
	cr_expect_str_eq(bench.output, "/dev/pts/0\r\n1000\r\n1000\r\n");
	message_free(&process->base);
}

Test(launch_exec, cannot_be_fooled_by_a_false_terminal)
{
	Grpc__Process *process = bench_process(&bench);

	bench_command(bench.spec->process,
	              "rm /dev/ptmx; busybox mkfifo /dev/ptmx; echo; sleep 1000");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	bench_command(process, "until busybox test -p /dev/ptmx; do true; done");
	cr_assert_eq(bench_exec(&bench, process), 0, "%s", bench.err.text);
	process->terminal = 1;
	cr_expect_eq(bench_exec(&bench, process), ERROR_FAILED_PRECONDITION);
	cr_expect_str_eq(bench.err.text,
	                 "open a console: \"/dev/ptmx\" is not a pseudo-terminal multiplexer");
	message_free(&process->base);
}

Test(launch_exec, in_an_ended_container_is_refused)
{
	Grpc__Process *process = bench_process(&bench);

	bench_command(bench.spec->process, "sleep 1000");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	cr_assert_eq(kill(launch_pid(bench.init), SIGKILL), 0);
	waitpid(launch_pid(bench.init), NULL, 0);
	bench_command(process, "true");
	cr_expect_eq(bench_exec(&bench, process), ERROR_FAILED_PRECONDITION);
	cr_expect_str_eq(bench.err.text, "the container's process has ended");
	message_free(&process->base);
}
