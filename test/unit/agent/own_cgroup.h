/*
 * A cgroup and a network namespace of a test's own, in which its process is. As root.
 */
#ifndef TEST_UNIT_AGENT_OWN_CGROUP_H
#define TEST_UNIT_AGENT_OWN_CGROUP_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char own_cgroup[300];

static inline void own_cgroup_move_to(const char *cgroup)
{
	char path[320];
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	file = fopen(path, "w");
	cr_assert(file && fprintf(file, "%d", (int)getpid()) > 0 && fclose(file) == 0, "%s", path);
}

static inline void own_cgroup_enter(void)
{
	char line[512], mount[256];
	FILE *mounted = fopen("/proc/mounts", "r");
	bool found = false;

	cr_assert_not_null(mounted);
	while (!found && fgets(line, sizeof(line), mounted))
		found = strstr(line, " cgroup2 ") && sscanf(line, "%*s %255s ", mount) == 1;
	fclose(mounted);
	cr_assert(found, "no cgroup2 is mounted");
	snprintf(own_cgroup, sizeof(own_cgroup), "%s/test-%d", mount, (int)getpid());
	cr_assert_eq(mkdir(own_cgroup, 0755), 0);
	own_cgroup_move_to(own_cgroup);
	cr_assert_eq(unshare(CLONE_NEWNET), 0, "this test needs root");
	cr_assert_eq(system("PATH=$PATH:/sbin:/usr/sbin ip link set lo up"), 0); /* NOLINT */
}

/* The tests' own cgroup is its parent. */
static inline void own_cgroup_leave(void)
{
	char parent[300];

	snprintf(parent, sizeof(parent), "%s", own_cgroup);
	*strrchr(parent, '/') = '\0';
	own_cgroup_move_to(parent);
	cr_assert_eq(rmdir(own_cgroup), 0);
}

#endif
