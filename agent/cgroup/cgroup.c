#include "agent/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "agent/cgroup/cgroup_limits.h"
#include "agent/cgroup/cgroup_tree.h"
#include "agent/cgroup/device_rules.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define CONTROLLERS_MAX 512   /* bytes of a cgroup.controllers */
#define EVENTS_MAX      256   /* bytes of a cgroup.events */
#define PROC_CGROUP_MAX 16384 /* bytes of a /proc/PID/cgroup */

struct cgroup {
	char *path; /* below the mount: "default/x", no slash at either end */
	int mount_fd;
	int fd;
};

/* "a:b:c" as the systemd driver writes it is "a/b-c.scope" in the tree; anything else is a path. */
static char *path_of_driver(const char *text)
{
	const char *prefix = strchr(text, ':');
	const char *name = prefix ? strchr(prefix + 1, ':') : NULL;

	if (!name || strchr(name + 1, ':'))
		return mem_strdup(text);
	return mem_printf("%.*s/%.*s-%s.scope", (int)(prefix - text), text,
	                  (int)(name - prefix - 1), prefix + 1, name + 1);
}

/* Drops what means nothing in a path; what would lead upwards is refused. */
static int path_clean(const char *text, char **out, struct error *err)
{
	autofree char *path = path_of_driver(text);
	autofree char *clean = mem_alloc(strlen(path) + 2);
	char *end = clean;
	char *rest = path;
	char *part;

	if (strlen(path) > CGROUP_PATH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid cgroupsPath: longer than %d bytes", CGROUP_PATH_MAX);
	while ((part = strsep(&rest, "/"))) {
		if (!*part || !strcmp(part, "."))
			continue;
		if (!strcmp(part, ".."))
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid cgroupsPath \"%s\": contains '..'", text);
		if (end > clean)
			*end++ = '/';
		end = stpcpy(end, part);
	}
	if (!*clean)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid cgroupsPath \"%s\": names the root", text);
	*out = take_ptr(&clean);
	return 0;
}

static bool has_word(const char *line, const char *word)
{
	size_t len = strlen(word);
	const char *at = line;

	while ((at = strstr(at, word))) {
		if ((at == line || at[-1] == ' ') && strchr(" \n", at[len]))
			return true;
		at += len;
	}
	return false;
}

/*
 * One by one: the kernel refuses a whole line for one controller that cannot be had here. Which one
 * it is matters only when a limit needs it, and then its missing file tells. Most are enabled
 * already, by the container before.
 */
static void enable_controllers(int fd)
{
	char controllers[CONTROLLERS_MAX];
	char enabled[CONTROLLERS_MAX];
	char *rest = controllers;
	char *name;

	if (kernel_file_read(fd, "cgroup.controllers", controllers, sizeof(controllers), NULL) <
	            0 ||
	    kernel_file_read(fd, "cgroup.subtree_control", enabled, sizeof(enabled), NULL) < 0)
		return;
	while ((name = strsep(&rest, " \n"))) {
		autofree char *word = mem_printf("+%s", name);

		if (*name && !has_word(enabled, name))
			kernel_file_write(fd, "cgroup.subtree_control", word, NULL);
	}
}

static int make_directories(struct cgroup *cgroup, struct error *err)
{
	autofree char *path = mem_strdup(cgroup->path);
	autoclose int at = fcntl(cgroup->mount_fd, F_DUPFD_CLOEXEC, 0);
	char *rest = path;
	char *name;

	while ((name = strsep(&rest, "/"))) {
		bool last = !rest;
		int fd;

		enable_controllers(at);
		if (mkdirat(at, name, 0755) < 0 && (errno != EEXIST || last))
			return errno == EEXIST
			               ? error_set(err, ERROR_ALREADY_EXISTS,
			                           "cgroup \"%s\" already exists", cgroup->path)
			               : error_errno(err, "cannot make cgroup \"%s\"",
			                             cgroup->path);
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return error_errno(err, "cannot open cgroup \"%s\"", cgroup->path);
		close(at);
		at = fd;
	}
	cgroup->fd = take_fd(&at);
	return 0;
}

int cgroup_create(const char *mount, const char *path, struct cgroup **out, struct error *err)
{
	autodestroy(cgroup) struct cgroup *cgroup = mem_new(struct cgroup);
	int r;

	cgroup->mount_fd = -1;
	cgroup->fd = -1;
	r = path_clean(path, &cgroup->path, err);
	if (r < 0)
		return r;
	cgroup->mount_fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->mount_fd < 0)
		return error_errno(err, "cannot open cgroup file system \"%s\"", mount);
	r = make_directories(cgroup, err);
	if (r == 0)
		r = cgroup_tree_limit(cgroup->fd, err);
	if (r < 0)
		return r;
	*out = take_ptr(&cgroup);
	return 0;
}

int cgroup_fd(const struct cgroup *cgroup)
{
	return cgroup->fd;
}

/* "0::/default/x/init" in the agent's own cgroup namespace, which is the root. */
static const char *path_below(const struct cgroup *cgroup, const char *line)
{
	size_t len = strlen(cgroup->path);
	const char *path = strncmp(line, "0::/", 4) == 0 ? line + 4 : NULL;

	if (!path || strncmp(path, cgroup->path, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return path[len] ? path + len + 1 : ".";
}

/* The line of cgroup v2; a host has others beside it. */
static const char *unified_line(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")))
		if (strncmp(line, "0::", 3) == 0)
			break;
	return line ? line : "";
}

int cgroup_open_of(const struct cgroup *cgroup, pid_t pid, int *out, struct error *err)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	autofree char *file = mem_printf("/proc/%d/cgroup", (int)pid);
	autofree char *text = NULL;
	const char *path;
	int fd;

	if (file_read(AT_FDCWD, file, PROC_CGROUP_MAX, &text, err) < 0)
		return error_wrap(err, "cannot find the cgroup of process %d", (int)pid);
	path = path_below(cgroup, unified_line(text));
	if (!path)
		return error_set(err, ERROR_NOT_FOUND, "process %d is not in cgroup \"%s\"",
		                 (int)pid, cgroup->path);
	fd = (int)syscall(SYS_openat2, cgroup->fd, path, &how, sizeof(how));
	if (fd < 0)
		return error_errno(err, "cannot open cgroup \"%s\" of process %d", path, (int)pid);
	*out = fd;
	return 0;
}

int cgroup_limit(struct cgroup *cgroup, const Grpc__LinuxResources *resources, struct error *err)
{
	return resources ? cgroup_limits_write(cgroup->fd, resources, err) : 0;
}

int cgroup_restrict_devices(struct cgroup *cgroup, const Grpc__LinuxResources *resources,
                            struct device_program *last, struct error *err)
{
	return device_rules_attach(cgroup->fd, resources, last, err);
}

int cgroup_freeze(struct cgroup *cgroup, bool frozen, struct error *err)
{
	return kernel_file_write(cgroup->fd, "cgroup.freeze", frozen ? "1" : "0", err);
}

int cgroup_frozen(const struct cgroup *cgroup, bool *out, struct error *err)
{
	char events[EVENTS_MAX];
	int r;

	r = kernel_file_read(cgroup->fd, "cgroup.events", events, sizeof(events), err);
	if (r == 0)
		*out = strstr(events, "frozen 1") != NULL;
	return r;
}

int cgroup_kill(struct cgroup *cgroup, struct error *err)
{
	return kernel_file_write(cgroup->fd, "cgroup.kill", "1", err);
}

int cgroup_signal(struct cgroup *cgroup, int sig, struct error *err)
{
	return cgroup_tree_signal(cgroup->fd, sig, err);
}

int cgroup_remove(struct cgroup *cgroup, struct error *err)
{
	autofree char *path = mem_strdup(cgroup->path);
	char *slash;
	int r;

	r = cgroup_tree_remove(cgroup->mount_fd, path, err);
	if (r < 0 && r != -ENOENT)
		return r;
	while ((slash = strrchr(path, '/'))) {
		*slash = '\0';
		if (unlinkat(cgroup->mount_fd, path, AT_REMOVEDIR) < 0)
			break;
	}
	return 0;
}

void cgroup_destroy(struct cgroup *cgroup)
{
	if (!cgroup)
		return;
	if (cgroup->fd >= 0)
		close(cgroup->fd);
	if (cgroup->mount_fd >= 0)
		close(cgroup->mount_fd);
	free(cgroup->path);
	free(cgroup);
}
