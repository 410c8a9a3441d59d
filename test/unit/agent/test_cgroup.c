/*
 * Cgroups of the host's kernel, wherever it has cgroup v2 mounted.
 */
#include "agent/cgroup/cgroup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "agent/cgroup/cgroup_tree.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define PATIENCE_MS 60000

struct tree {
	char mount[256];
	char path[64];
	struct cgroup *cgroup;
	int fd;
};

static void find_mount(char *path)
{
	char line[512];
	FILE *mounted = fopen("/proc/mounts", "r");
	bool found = false;

	cr_assert_not_null(mounted);
	while (!found && fgets(line, sizeof(line), mounted))
		found = strstr(line, " cgroup2 ") && sscanf(line, "%*s %255s ", path) == 1;
	fclose(mounted);
	cr_assert(found, "no cgroup2 is mounted");
}

/* In a cgroup that no other test has; @suffix: what comes after its name. */
static void make_tree(struct tree *tree, const char *suffix)
{
	struct error err;

	find_mount(tree->mount);
	snprintf(tree->path, sizeof(tree->path), "test-%d%s", (int)getpid(), suffix);
	cr_assert_eq(cgroup_create(tree->mount, tree->path, &tree->cgroup, &err), 0, "%s",
	             err.text);
	tree->fd = cgroup_fd(tree->cgroup);
}

static void remove_tree(struct tree *tree)
{
	int r = -EAGAIN;

	for (int i = 0; i < PATIENCE_MS && (r == -EAGAIN || r == -EBUSY); i++) {
		r = cgroup_remove(tree->cgroup, NULL);
		if (r == -EBUSY)
			usleep(1000);
	}
	cr_assert_eq(r, 0, "%s", strerror(-r));
	cgroup_destroy(tree->cgroup);
}

/* A process that sleeps in the cgroup @name below the tree's. */
static pid_t sleeper(const struct tree *tree, const char *name)
{
	autofree char *procs = mem_printf("%s/cgroup.procs", name);
	autofree char *number = NULL;
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	number = mem_printf("%d", pid);
	cr_assert_eq(kernel_file_write(tree->fd, procs, number, NULL), 0);
	return pid;
}

static bool exists(const struct tree *tree, const char *name)
{
	autofree char *path = mem_printf("%s/%s", tree->mount, name);

	return access(path, F_OK) == 0;
}

Test(cgroup, a_systemd_path_is_a_scope_in_its_slice_and_both_go)
{
	struct tree tree;
	autofree char *slice = mem_printf("test-%d.slice", (int)getpid());
	autofree char *scope = mem_printf("%s/cri-name.scope", slice);

	make_tree(&tree, ".slice:cri:name");
	cr_assert(exists(&tree, scope));
	remove_tree(&tree);
	cr_assert_not(exists(&tree, slice));
}

/* What the files of a directory that is no cgroup say once one has been asked for below it. */
static void expect_enabling(const char *has, const char *before, const char *after)
{
	char dir[] = "/tmp/kata-cgroup-XXXXXX";
	struct cgroup *cgroup;
	char text[64];
	int fd;

	cr_assert_not_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(file_write(fd, "cgroup.controllers", 0600, has, strlen(has), NULL), 0);
	cr_assert_eq(file_write(fd, "cgroup.subtree_control", 0600, before, strlen(before), NULL),
	             0);
	cr_expect_lt(cgroup_create(dir, "one", &cgroup, NULL), 0);
	cr_assert_eq(kernel_file_read(fd, "cgroup.subtree_control", text, sizeof(text), NULL), 0);
	cr_expect_str_eq(text, after);
	close(fd);
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

Test(cgroup, a_controller_is_enabled_once)
{
	expect_enabling("cpuset cpu io\n", "io cpuset cpu\n", "io cpuset cpu\n");
	expect_enabling("cpuset cpu\n", "cpuset\n", "+cpuet\n"); /* written over the first bytes */
	expect_enabling("cpuset\n", "\n", "+cpuset");
}

Test(cgroup, one_that_exists_is_another_containers)
{
	struct tree tree;
	struct cgroup *other;
	struct error err;

	make_tree(&tree, "");
	cr_assert_lt(cgroup_create(tree.mount, tree.path, &other, &err), 0);
	cr_assert_eq(err.code, ERROR_ALREADY_EXISTS);
	remove_tree(&tree);
}

Test(cgroup, a_container_makes_no_tree_without_end)
{
	struct tree tree;
	char path[CGROUP_TREE_DEPTH_MAX * 2 + 4] = "d"; /* then d/d, d/d/d and so on */
	char text[32];

	make_tree(&tree, "");
	for (int i = 0; i < CGROUP_TREE_DEPTH_MAX; i++) {
		cr_assert_eq(mkdirat(tree.fd, path, 0755), 0, "%d: %s", i, strerror(errno));
		memcpy(path + 1 + 2 * (size_t)i, "/d", 3);
	}
	cr_assert_lt(mkdirat(tree.fd, path, 0755), 0);
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(kernel_file_read(tree.fd, "cgroup.max.descendants", text, sizeof(text), NULL),
	             0);
	cr_assert_eq(atoi(text), CGROUP_TREE_MAX);
	remove_tree(&tree);
	cr_assert_not(exists(&tree, tree.path));
}

Test(cgroup, a_wide_one_goes_in_slices)
{
	struct tree tree;
	char name[16];

	make_tree(&tree, "");
	for (int i = 0; i < 2 * CGROUP_TREE_SLICE; i++) {
		snprintf(name, sizeof(name), "%d", i);
		cr_assert_eq(mkdirat(tree.fd, name, 0755), 0);
	}
	cr_assert_eq(cgroup_remove(tree.cgroup, NULL), -EAGAIN);
	cr_assert(exists(&tree, tree.path));
	remove_tree(&tree);
	cr_assert_not(exists(&tree, tree.path));
}

Test(cgroup, one_with_a_process_deep_inside_is_busy_until_it_is_killed)
{
	struct tree tree;
	struct error err;
	pid_t pid;

	make_tree(&tree, "");
	mkdirat(tree.fd, "a", 0755);
	mkdirat(tree.fd, "a/b", 0755);
	pid = sleeper(&tree, "a/b");
	cr_assert_eq(cgroup_remove(tree.cgroup, &err), -EBUSY);
	cr_assert_eq(cgroup_kill(tree.cgroup, NULL), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	remove_tree(&tree);
}

static void assert_killed_by(pid_t pid, int sig)
{
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == sig);
}

Test(cgroup, a_signal_reaches_every_process_below, .timeout = 120)
{
	struct tree tree;
	struct error err;
	pid_t pid[3];

	make_tree(&tree, "");
	mkdirat(tree.fd, "a", 0755);
	mkdirat(tree.fd, "a/b", 0755);
	pid[0] = sleeper(&tree, ".");
	pid[1] = sleeper(&tree, "a");
	pid[2] = sleeper(&tree, "a/b");
	cr_assert_eq(cgroup_signal(tree.cgroup, SIGUSR1, &err), 0, "%s", err.text);
	for (int i = 0; i < 3; i++)
		assert_killed_by(pid[i], SIGUSR1);
	cr_assert_lt(cgroup_signal(tree.cgroup, SIGUSR1, &err), 0);
	cr_assert_eq(err.code, ERROR_NOT_FOUND);
	cr_assert_lt(cgroup_signal(tree.cgroup, NSIG, &err), 0);
	cr_assert_eq(err.code, ERROR_INVALID_ARGUMENT);
	remove_tree(&tree);
}

static void freeze(const struct tree *tree)
{
	bool frozen = false;

	cr_assert_eq(cgroup_freeze(tree->cgroup, true, NULL), 0);
	for (int i = 0; i < PATIENCE_MS && !frozen; i++) {
		cr_assert_eq(cgroup_frozen(tree->cgroup, &frozen, NULL), 0);
		usleep(1000);
	}
	cr_assert(frozen);
}

/* Each child is the parent of the next, and the signal has to catch the youngest. */
static void fork_without_end(void)
{
	for (;;)
		if (fork() > 0)
			_exit(0);
}

Test(cgroup, a_signal_reaches_one_that_forks_all_the_time, .timeout = 120)
{
	struct tree tree;
	char text[256] = "";
	pid_t pid;

	make_tree(&tree, "");
	pid = fork();
	if (pid == 0) {
		autofree char *number = mem_printf("%d", (int)getpid());

		kernel_file_write(tree.fd, "cgroup.procs", number, NULL);
		fork_without_end();
	}
	cr_assert_eq(waitpid(pid, NULL, 0), pid); /* it is on its way */
	freeze(&tree);
	cr_assert_eq(cgroup_signal(tree.cgroup, SIGUSR1, NULL), 0);
	cr_assert_eq(cgroup_freeze(tree.cgroup, false, NULL), 0);
	for (int i = 0; i < PATIENCE_MS && !strstr(text, "populated 0"); i++) {
		usleep(1000);
		cr_assert_eq(kernel_file_read(tree.fd, "cgroup.events", text, sizeof(text), NULL),
		             0);
	}
	cgroup_kill(tree.cgroup, NULL);
	cr_assert(strstr(text, "populated 0"), "%s", text);
	remove_tree(&tree);
}

Test(cgroup, a_process_is_found_where_it_has_gone, .timeout = 120)
{
	struct tree tree;
	struct stat found, expected;
	struct error err;
	pid_t pid[2];
	int fd;

	make_tree(&tree, "");
	mkdirat(tree.fd, "init", 0755);
	pid[0] = sleeper(&tree, ".");
	pid[1] = sleeper(&tree, "init");
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(cgroup_open_of(tree.cgroup, pid[i], &fd, &err), 0, "%s", err.text);
		cr_assert_eq(fstat(fd, &found), 0);
		cr_assert_eq(fstatat(tree.fd, i ? "init" : ".", &expected, 0), 0);
		cr_assert_eq(found.st_ino, expected.st_ino);
		close(fd);
	}
	cr_assert_lt(cgroup_open_of(tree.cgroup, getpid(), &fd, &err), 0);
	cr_assert_eq(err.code, ERROR_NOT_FOUND);
	cgroup_kill(tree.cgroup, NULL);
	for (int i = 0; i < 2; i++)
		waitpid(pid[i], NULL, 0);
	remove_tree(&tree);
}
