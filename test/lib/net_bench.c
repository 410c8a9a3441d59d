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

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s", path,
	          strerror(errno));
	close(fd);
}

/* As root of a user namespace of its own. */
static int unshare_as_user(void)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return -1;
	write_file("/proc/self/uid_map", map);
	return 0;
}

void net_bench_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0 && unshare_as_user() < 0)
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
