/*
 * A network namespace that stands for the host's, for tests of what is made in another. They need
 * CAP_SYS_ADMIN, or a kernel that lets anybody make user namespaces.
 */
#ifndef TEST_UNIT_SHIM_NETWORK_FIXTURE_H
#define TEST_UNIT_SHIM_NETWORK_FIXTURE_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/network/netns.h"

#define OUTPUT_MAX 65536

/* By a user namespace where the tests are not root. /run is the test's own, for `ip netns`. */
static inline void unshare_network(void)
{
	uid_t uid = geteuid();
	autofree char *map = mem_printf("0 %u 1", uid);
	FILE *file;

	cr_assert_eq(unshare(CLONE_NEWNS | CLONE_NEWNET | (uid ? CLONE_NEWUSER : 0)), 0);
	if (uid) {
		file = fopen("/proc/self/uid_map", "w");
		cr_assert(file && fputs(map, file) >= 0 && fclose(file) == 0);
	}
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("run", "/run", "tmpfs", 0, NULL), 0);
}

/* A command of the shell, which must succeed. */
static inline void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void sh(const char *fmt, ...)
{
	char command[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	cr_assert_eq(system(command), 0, "%s", command);
}

/* A link of namespace "blue" that has been set up is up a moment later. */
static inline void await_up(const char *link)
{
	sh("for i in $(seq 200); do ip -n blue link show %s | grep -q 'state UP' && exit 0; "
	   "sleep 0.02; done; exit 1",
	   link);
}

/* What a command prints: free() it. */
static inline char *output_of(const char *command)
{
	char *text = mem_alloc(OUTPUT_MAX);
	FILE *pipe = popen(command, "r");

	cr_assert(pipe);
	cr_assert_lt(fread(text, 1, OUTPUT_MAX - 1, pipe), OUTPUT_MAX - 1);
	cr_assert_eq(pclose(pipe), 0, "%s", command);
	return text;
}

static inline struct netns *open_netns(const char *path)
{
	struct netns *netns = NULL;
	struct error err = { 0 };

	cr_assert_eq(netns_open(path, &netns, &err), 0, "%s", err.text);
	return netns;
}

#endif
