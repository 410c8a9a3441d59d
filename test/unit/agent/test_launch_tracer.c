/*
 * What a container with CAP_SYS_PTRACE can get hold of while processes are executed in it.
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

/* Lines of tracer.c: how many processes it caught before their execve. */
static int read_report(const char *expected)
{
	autofree char *path = mem_printf("%s/report", bench.rootfs);
	FILE *report = fopen(path, "r");
	char line[512];
	int early = 0;

	cr_assert_not_null(report);
	while (fgets(line, sizeof(line), report)) {
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
