#include "agent/cgroup/cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define PASSES_MAX 16 /* over the tree, until no new process is found: two when it is frozen */

int cgroup_tree_limit(int fd, struct error *err)
{
	autofree char *depth = mem_printf("%d", CGROUP_TREE_DEPTH_MAX);
	autofree char *descendants = mem_printf("%d", CGROUP_TREE_MAX);
	int r;

	r = kernel_file_write(fd, "cgroup.max.depth", depth, err);
	if (r == 0)
		r = kernel_file_write(fd, "cgroup.max.descendants", descendants, err);
	return r;
}

static DIR *open_cgroup(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

/* The next cgroup in @dir; NULL at the end. */
static const char *next_cgroup(DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir)))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			return entry->d_name;
	return NULL;
}

/* Returns 0, or -errno: of the first that did not go. */
static int remove_below(int at, const char *name, unsigned int depth, unsigned int *slice)
{
	const char *child;
	DIR *dir;
	int r = 0;

	if (*slice == 0)
		return -EAGAIN;
	if (unlinkat(at, name, AT_REMOVEDIR) == 0) {
		(*slice)--;
		return 0;
	}
	if (errno != EBUSY || depth > CGROUP_TREE_DEPTH_MAX)
		return -errno;
	dir = open_cgroup(at, name);
	if (!dir)
		return -errno;
	while (r == 0 && (child = next_cgroup(dir)))
		r = remove_below(dirfd(dir), child, depth + 1, slice);
	closedir(dir);
	if (r == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int cgroup_tree_remove(int at, const char *name, struct error *err)
{
	unsigned int slice = CGROUP_TREE_SLICE;
	int r = remove_below(at, name, 0, &slice);

	if (r == 0)
		return 0;
	errno = -r;
	return error_errno(err, "cannot remove cgroup \"%s\"", name);
}

struct pids {
	pid_t *at;
	size_t n;
	size_t room;
};

static void pids_add(struct pids *pids, pid_t pid)
{
	if (pids->n == pids->room) {
		pids->room = pids->room ? pids->room * 2 : 64;
		pids->at = mem_realloc(pids->at, pids->room * sizeof(*pids->at));
	}
	pids->at[pids->n++] = pid;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t first = *(const pid_t *)a;
	pid_t second = *(const pid_t *)b;

	return (first > second) - (first < second);
}

/* A threaded cgroup has no such file to read: its processes are those of the one above. */
static void list_processes(int fd, struct pids *pids)
{
	int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = procs < 0 ? NULL : fdopen(procs, "r");
	int pid;

	while (file && fscanf(file, "%d", &pid) == 1)
		if (pid > 0) /* 0: of another pid namespace; to kill(2) it is us */
			pids_add(pids, pid);
	if (file)
		fclose(file);
	else if (procs >= 0)
		close(procs);
}

static void list_tree(int at, const char *name, unsigned int depth, struct pids *pids)
{
	DIR *dir = open_cgroup(at, name);
	const char *child;

	if (!dir)
		return; /* it has just been removed */
	list_processes(dirfd(dir), pids);
	while (depth < CGROUP_TREE_DEPTH_MAX && (child = next_cgroup(dir)))
		list_tree(dirfd(dir), child, depth + 1, pids);
	closedir(dir);
}

/* Signals those that are not in @told yet, and puts them there; returns whether there were any. A
 * pid is not given to another process so soon: the kernel's numbers go round. */
static bool signal_pass(int fd, int sig, struct pids *told)
{
	struct pids found = { 0 };
	size_t before = told->n;

	list_tree(fd, ".", 0, &found);
	for (size_t i = 0; i < found.n; i++) {
		if (before && bsearch(&found.at[i], told->at, before, sizeof(pid_t), compare_pids))
			continue;
		kill(found.at[i], sig); /* ESRCH: it has just ended */
		pids_add(told, found.at[i]);
	}
	free(found.at);
	if (told->n > before)
		qsort(told->at, told->n, sizeof(pid_t), compare_pids);
	return told->n > before;
}

int cgroup_tree_signal(int fd, int sig, struct error *err)
{
	struct pids told = { 0 };
	size_t n;

	if (sig < 0 || sig >= NSIG)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid signal %d", sig);
	for (int i = 0; i < PASSES_MAX && signal_pass(fd, sig, &told); i++)
		;
	n = told.n;
	free(told.at);
	return n ? 0 : error_set(err, ERROR_NOT_FOUND, "process already finished");
}
