/*
 * What a container with CAP_SYS_PTRACE can get hold of while processes are executed in it, and while
 * other containers come into its pid namespace.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "container_bench.h"
#include "proto/message.h"

#define EXECS 200
#define CAPS  "00000000080800a0" /* the container's */

#define FEWER 40
#define INITS 60

/* The tracer needs what these leave. */
#define PROFILE                                                                                    \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\"],"              \
	"\"action\":\"SCMP_ACT_ERRNO\"}]}"
#define NO_CLONE                                                                                   \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"clone\",\"clone3\","    \
	"\"fork\",\"vfork\"],\"action\":\"SCMP_ACT_ERRNO\"}]}"

static struct bench bench;

static void setup(void)
{
	Grpc__LinuxCapabilities *caps;
	autofree char *copy = NULL;

	bench_init(&bench);
	copy = mem_printf("cp " TRACER " %s/bin/tracer", bench.rootfs);
	cr_assert_eq(system(copy), 0);
	caps = bench.spec->process->capabilities;
	free(caps->bounding[0]);
	free(caps->effective[0]);
	free(caps->permitted[0]);
	caps->bounding[0] = mem_strdup("CAP_SYS_PTRACE");
	caps->effective[0] = mem_strdup("CAP_SYS_PTRACE");
	caps->permitted[0] = mem_strdup("CAP_SYS_PTRACE");
	bench_command(bench.spec->process, "tracer");
}

static void teardown(void)
{
	bench_fini(&bench);
}

TestSuite(launch_tracer, .init = setup, .fini = teardown);

/* What opens a new /proc in the namespace: agent/launch/proc_context.h. */
static int openers; /* of those that were caught */

static bool is_opener(const char *line)
{
	return strstr(line, " root=empty mount=other caps=0000000000200000 nonewprivs=1 "
	                    "seccomp=2 fds=") &&
	       (strstr(line, " fds=1 ") || strstr(line, " fds=2 "));
}

/* Lines of tracer.c: how many processes it caught before their execve. */
static int read_report(const char *expected)
{
	autofree char *path = mem_printf("%s/report", bench.rootfs);
	FILE *report = fopen(path, "r");
	char line[512];
	int early = 0;

	cr_assert_not_null(report);
	while (fgets(line, sizeof(line), report)) {
		openers += is_opener(line);
		if (is_opener(line))
			continue;
		early += strstr(line, " true\n") == NULL;
		cr_expect_not_null(strstr(line, expected), "caught before it was confined: %s",
		                   line);
	}
	fclose(report);
	return early;
}

/* Every other with a terminal. What the tracer catches in them has to be as @expected. */
static void trace_execs(int execs, const char *expected)
{
	Grpc__Process *process = bench_process(&bench);

	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	bench_command(process, "true");
	for (int i = 0; i < execs; i++) {
		process->terminal = i % 2;
		cr_assert_eq(bench_exec(&bench, process), 0, "%s", bench.err.text);
	}
	bench_write(&bench, "end", "", 0600);
	message_free(&process->base);
	cr_expect_gt(read_report(expected), 0, "none of %d processes was caught", execs);
}

Test(launch_tracer, catches_what_is_as_confined_as_it_is)
{
	bench_seccomp(&bench, PROFILE);
	trace_execs(EXECS, " root=own mount=own caps=" CAPS " nonewprivs=1 seccomp=2 ");
}

Test(launch_tracer, catches_the_same_where_privileges_may_grow)
{
	bench_seccomp(&bench, PROFILE);
	bench.spec->process->nonewprivileges = 0;
	trace_execs(FEWER, " root=own mount=own caps=" CAPS " nonewprivs=0 seccomp=2 ");
}

/* A profile under which no process is made, so that it cannot be there before the process. */
Test(launch_tracer, catches_no_privileges_where_the_profile_comes_last)
{
	bench_seccomp(&bench, NO_CLONE);
	bench.spec->process->nonewprivileges = 0;
	trace_execs(FEWER, " root=own mount=own caps=" CAPS " nonewprivs=1 ");
}

/* The tracer is the first container of the pod's pid namespace, the others follow. */
static void trace_inits(int inits, const char *expected)
{
	struct bench first;

	bench.pid_namespace = bench_new_pid_namespace();
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	first = bench;
	bench.init = NULL;
	for (int i = 0; i < inits; i++) {
		bench.spec->process->terminal = i % 2;
		bench_command(bench.spec->process, "true");
		cr_assert_eq(bench_run(&bench), 0, "%s", bench.err.text);
	}
	bench.init = first.init;
	bench_write(&bench, "end", "", 0600);
	cr_expect_gt(read_report(expected), 0, "none of %d processes was caught", inits);
	cr_expect_gt(openers, 0, "none of %d processes was caught that open a /proc", inits);
}

Test(launch_tracer, catches_an_init_that_is_as_confined_as_it_will_be)
{
	bench_seccomp(&bench, PROFILE);
	trace_inits(INITS, " root=own mount=other caps=" CAPS " nonewprivs=1 seccomp=2 ");
}

Test(launch_tracer, catches_the_same_of_an_init_whose_privileges_may_grow)
{
	bench_seccomp(&bench, PROFILE);
	bench.spec->process->nonewprivileges = 0;
	trace_inits(FEWER, " root=own mount=other caps=" CAPS " nonewprivs=0 seccomp=2 ");
}

Test(launch_tracer, catches_no_privileges_of_an_init_whose_profile_comes_last)
{
	bench_seccomp(&bench, NO_CLONE);
	bench.spec->process->nonewprivileges = 0;
	trace_inits(FEWER, " root=own mount=other caps=" CAPS " nonewprivs=1 ");
}
