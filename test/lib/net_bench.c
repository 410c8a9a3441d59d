#include "test/lib/net_bench.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		perror(path);
	if (fd >= 0)
		close(fd);
}

/* Root of a user namespace; before Criterion has threads, with which the kernel gives none. */
static void become_root(void)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER) == 0)
		write_file("/proc/self/uid_map", map);
}

int main(int argc, char **argv)
{
	struct criterion_test_set *tests;
	int r = 0;

	if (geteuid() != 0)
		become_root();
	tests = criterion_initialize();
	if (criterion_handle_args(argc, argv, true))
		r = !criterion_run_all_tests(tests);
	criterion_finalize(tests);
	return r;
}

void net_bench_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		cr_skip("the kernel gives no network namespace: %s", strerror(errno));
	net_bench_run("ip link set lo up");
}

void net_bench_run(const char *commands)
{
	char script[4096];
	int n = snprintf(script, sizeof(script), "PATH=$PATH:/sbin:/usr/sbin; set -e\n%s",
	                 commands);

	cr_assert(n > 0 && n < (int)sizeof(script));
	cr_assert_eq(system(script), 0, "%s", commands); /* NOLINT: its commands are the tests' */
}

const char *net_bench_output(const char *command)
{
	static char text[8192];
	char line[512];
	FILE *output;
	size_t n;

	snprintf(line, sizeof(line), "PATH=$PATH:/sbin:/usr/sbin; %s", command);
	output = popen(line, "r"); /* NOLINT: as above */
	cr_assert_not_null(output);
	n = fread(text, 1, sizeof(text) - 1, output);
	text[n] = '\0';
	cr_assert_eq(pclose(output), 0, "%s", command);
	return text;
}
