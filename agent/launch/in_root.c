#include "agent/launch/in_root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define LINKS_MAX 40 /* as the kernel's own limit on a path */
#define RACES_MAX 64 /* EAGAIN: something was renamed while the kernel walked */

int in_root_open(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = -1;
	int i;

	for (i = 0; i < RACES_MAX; i++) {
		fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : fd;
}

/* A walk that makes what is missing. */
struct walk {
	int root;
	char *done; /* exists: a path below the root */
	char *todo; /* the rest, changed in place */
	char *rest; /* where @todo goes on */
	int links;
};

static void walk_fini(struct walk *walk)
{
	free(walk->done);
	free(walk->todo);
}

/* The next part of the way, or NULL at its end. */
static char *walk_part(struct walk *walk)
{
	char *part;

	while ((part = strsep(&walk->rest, "/")))
		if (*part && strcmp(part, ".") != 0)
			return part;
	return NULL;
}

static bool walk_at_end(const struct walk *walk)
{
	const char *p = walk->rest;

	while (p && *p) {
		size_t len = strcspn(p, "/");

		if (len > 0 && (len > 1 || *p != '.'))
			return false;
		p += len + (p[len] == '/');
	}
	return true;
}

/* @part is a link to what does not exist: goes on where it leads. */
static int walk_follow(struct walk *walk, int parent, const char *part)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(parent, part, target, sizeof(target) - 1);
	char *todo;

	if (n < 0)
		return errno == EINVAL ? -EEXIST : -errno;
	if (walk->links++ == LINKS_MAX)
		return -ELOOP;
	target[n] = '\0';
	if (target[0] == '/')
		walk->done[0] = '\0';
	todo = mem_printf("%s/%s", target, walk->rest ? walk->rest : "");
	free(walk->todo);
	walk->todo = todo;
	walk->rest = todo;
	return 0;
}

/* One part further: *@made_at is where it is now, unless a link was followed. */
static int walk_step(struct walk *walk, const char *part, mode_t type, mode_t mode)
{
	autofree char *next = mem_printf("%s/%s", walk->done, part);
	bool last = walk_at_end(walk);
	autoclose int fd = in_root_open(walk->root, next, O_PATH);
	autoclose int parent = -1;
	int r;

	if (fd < 0 && fd != -ENOENT)
		return fd;
	if (fd < 0) {
		parent = in_root_open(walk->root, walk->done, O_PATH | O_DIRECTORY);
		if (parent < 0)
			return parent;
		if (last && type == S_IFREG)
			r = mknodat(parent, part, S_IFREG | mode, 0);
		else
			r = mkdirat(parent, part, last ? mode : 0755);
		if (r < 0 && errno == EEXIST)
			return walk_follow(walk, parent, part);
		if (r < 0)
			return -errno;
	}
	free(walk->done);
	walk->done = take_ptr(&next);
	return 0;
}

static int make_by_walk(int root, const char *path, mode_t type, mode_t mode)
{
	struct walk walk = { .root = root, .done = mem_strdup(""), .todo = mem_strdup(path) };
	char *part;
	int r = 0;

	walk.rest = walk.todo;
	while (r == 0 && (part = walk_part(&walk)))
		r = walk_step(&walk, part, type, mode);
	if (r == 0)
		r = in_root_open(root, walk.done, O_PATH | (type == S_IFDIR ? O_DIRECTORY : 0));
	walk_fini(&walk);
	return r;
}

/* A file is made, and then looked at: a name that is not there is looked up only once. */
static int make_file_directly(int root, const char *path, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	autofree char *dir = mem_printf("%.*s", (int)(name - path), path);
	autoclose int parent = in_root_open(root, dir, O_PATH | O_DIRECTORY);

	if (parent < 0)
		return parent;
	if (mknodat(parent, name, S_IFREG | mode, 0) < 0 && errno != EEXIST)
		return -errno;
	return in_root_open(root, path, O_PATH);
}

/* Each step of a walk asks the server that the files are of: it comes when the short way ends. */
int in_root_make(int root, const char *path, mode_t type, mode_t mode, struct error *err)
{
	int r = type == S_IFDIR ? in_root_open(root, path, O_PATH | O_DIRECTORY)
	                        : make_file_directly(root, path, mode);

	if (r < 0)
		r = make_by_walk(root, path, type, mode);
	if (r < 0) {
		errno = -r;
		return error_errno(err, "cannot make \"%s\" in the root file system", path);
	}
	return r;
}

int in_root_make_parent(int root, const char *path, const char **name, struct error *err)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;
	autofree char *parent = mem_printf("%.*s", (int)(last - path), path);

	if (!*last || !strcmp(last, ".") || !strcmp(last, ".."))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid path \"%s\": does not name a file", path);
	*name = last;
	return in_root_make(root, parent, S_IFDIR, 0755, err);
}

const char *in_root_path(int fd, char path[IN_ROOT_PATH_SIZE])
{
	snprintf(path, IN_ROOT_PATH_SIZE, "/proc/self/fd/%d", fd);
	return path;
}
