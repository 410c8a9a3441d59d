#include "shim/host/cgroup_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "shim/host/cgroup_mounts.h"

#define MADE_HERE   "trusted.kata.made"
#define FILE_MAX    65536
#define TRIES       3 /* another pod may remove a parent meanwhile */
#define NAP_MS      5
#define WALK_FDS    16
#define V1_TASKS    "tasks"
#define PROCS       "cgroup.procs"
#define SUBTREE     "cgroup.subtree_control"
#define CONTROLLERS "cgroup.controllers"

static int write_number_list(const char *from, const char *to, const char *name)
{
	autofree char *source = mem_printf("%s/%s", from, name);
	autofree char *now = NULL;
	autofree char *target = mem_printf("%s/%s", to, name);
	autofree char *value = NULL;

	if (file_read(AT_FDCWD, target, FILE_MAX, &now, NULL) < 0 || *now > ' ')
		return 0;
	if (file_read(AT_FDCWD, source, FILE_MAX, &value, NULL) < 0)
		return -1;
	return cgroup_dir_write(to, name, value, NULL);
}

/* A new cpuset of v1 has no processor and no memory, and takes no process then. */
static void inherit_cpuset(const char *parent, const char *dir)
{
	write_number_list(parent, dir, "cpuset.cpus");
	write_number_list(parent, dir, "cpuset.mems");
}

/* Those that are used here, each for itself: the kernel takes all of a line or none. One that a
 * process in @dir forbids is missed by whoever writes its files. */
static void enable_controllers(const char *dir)
{
	static const char *const names[] = { "+cpuset", "+cpu", "+io", "+memory", "+pids" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cgroup_dir_write(dir, SUBTREE, names[i], NULL);
}

static int make_one(const struct cgroup_mount *mount, const char *parent, const char *dir,
                    bool is_last)
{
	if (mount->is_v2)
		enable_controllers(parent);
	if (mkdir(dir, 0755) == 0 && !is_last)
		setxattr(dir, MADE_HERE, "1", 1, 0);
	else if (errno != EEXIST && access(dir, F_OK) < 0)
		return -1;
	if (strstr(mount->controllers, "cpuset"))
		inherit_cpuset(parent, dir);
	return 0;
}

static void remove_made_parents(const char *dir)
{
	autofree char *path = mem_strdup(dir);
	char *slash;
	char mark;

	while ((slash = strrchr(path, '/')) && slash != path) {
		*slash = '\0';
		if (getxattr(path, MADE_HERE, &mark, sizeof(mark)) < 0 || rmdir(path) < 0)
			return;
	}
}

static int make_all(const struct cgroup_mount *mount, const char *path)
{
	size_t top = strlen(mount->dir);
	autofree char *dir = mem_printf("%s%s", mount->dir, path);
	autofree char *parent = mem_strdup(mount->dir);

	for (char *end = dir + top; *end;) {
		char *next = end + 1 + strcspn(end + 1, "/");
		char was = *next;

		*next = '\0';
		if (make_one(mount, parent, dir, !was) < 0) {
			int cause = errno;

			remove_made_parents(dir);
			errno = cause;
			return -1;
		}
		free(parent);
		parent = mem_strdup(dir);
		*next = was;
		end = next;
	}
	return 0;
}

int cgroup_dir_make(const struct cgroup_mount *mount, const char *path, struct error *err)
{
	for (int i = 0; i < TRIES; i++) {
		if (make_all(mount, path) == 0)
			return 0;
		if (errno != ENOENT)
			break;
	}
	return error_errno(err, "cannot make cgroup \"%s%s\"", mount->dir, path);
}

int cgroup_dir_write(const char *dir, const char *name, const char *value, struct error *err)
{
	autofree char *path = mem_printf("%s/%s", dir, name);
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return error_errno(err, "cannot write \"%.*s\" to \"%s\"",
		                   (int)strcspn(value, "\n"), value, path);
	return 0;
}

int cgroup_dir_read(const char *dir, const char *name, const char *key, uint64_t *out)
{
	autofree char *path = mem_printf("%s/%s", dir, name);
	autofree char *text = NULL;
	const char *at;
	char *end;

	if (file_read(AT_FDCWD, path, FILE_MAX, &text, NULL) < 0)
		return -ENOENT;
	at = text;
	while (key && (strncmp(at, key, strlen(key)) != 0 || at[strlen(key)] != ' ')) {
		at = strchr(at, '\n');
		if (!at)
			return -ENOENT;
		at++;
	}
	if (key)
		at += strlen(key) + 1;
	if (strncmp(at, "max", 3) == 0) {
		*out = UINT64_MAX;
		return 0;
	}
	errno = 0;
	*out = strtoull(at, &end, 10);
	return end == at || errno ? -ENOENT : 0;
}

/* By its one thread in v1: then the kernel need not wait until no process forks (ms, at times). */
int cgroup_dir_enter(const char *dir, struct error *err)
{
	struct error ignored;

	return cgroup_dir_write(dir, V1_TASKS, "0", &ignored) == 0
	               ? 0
	               : cgroup_dir_write(dir, PROCS, "0", err);
}

/* Only directories can be removed: the files go with theirs. */
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return type == FTW_DP && rmdir(path) < 0 && errno != ENOENT ? -1 : 0;
}

static int remove_tree(const char *dir)
{
	if (rmdir(dir) == 0 || access(dir, F_OK) < 0)
		return 0;
	return nftw(dir, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS);
}

/* Those of @dir itself: what a pod has below its cgroup has no process of ours. */
static void move_processes(const char *dir, const char *home)
{
	autofree char *path = mem_printf("%s/" PROCS, dir);
	autofree char *text = NULL;
	char *rest;

	if (file_read(AT_FDCWD, path, FILE_MAX, &text, NULL) < 0)
		return;
	rest = text;
	for (char *pid = strsep(&rest, "\n"); pid && *pid; pid = strsep(&rest, "\n"))
		cgroup_dir_write(home, PROCS, pid, NULL);
}

int cgroup_dir_remove(const char *dir, const char *home, int wait_ms, struct error *err)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	int r = remove_tree(dir);

	for (int waited = 0; r < 0 && errno == EBUSY && waited < wait_ms; waited += NAP_MS) {
		nanosleep(&nap, NULL);
		r = remove_tree(dir);
	}
	if (r < 0 && errno == EBUSY) {
		move_processes(dir, home);
		r = remove_tree(dir);
	}
	if (r < 0)
		return error_errno(err, "cannot remove cgroup \"%s\"", dir);
	remove_made_parents(dir);
	return 0;
}
