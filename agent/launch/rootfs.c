#include "agent/launch/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/mount_options.h"
#include "agent/base/mount_tree.h"
#include "common/cleanup.h"
#include "common/error.h"

static unsigned long propagation_of(const Grpc__Spec *spec)
{
	const char *word = spec->linux ? spec->linux->rootfspropagation : "";

	return *word ? mount_propagation(word) : MS_PRIVATE;
}

int rootfs_check(const Grpc__Spec *spec, struct error *err)
{
	if (!propagation_of(spec))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid linux.rootfsPropagation \"%s\": unknown",
		                 spec->linux->rootfspropagation);
	return 0;
}

/*
 * pivot_root(2) refuses a root whose parent mount is shared. The parent is not known by name: each
 * directory above is tried until one is a mount point.
 */
static int make_parent_private(const char *path, struct error *err)
{
	char *at = strdup(path);
	char *slash;
	int r = -1;

	if (!at)
		abort();
	errno = EINVAL;
	while (r < 0 && errno == EINVAL && *at) {
		r = mount(NULL, at, NULL, MS_PRIVATE, NULL);
		slash = strrchr(at, '/');
		*(slash ? slash : at) = '\0';
	}
	if (r < 0 && errno == EINVAL)
		r = mount(NULL, "/", NULL, MS_PRIVATE, NULL);
	free(at);
	return r < 0 ? error_errno(err, "cannot make the mount of \"%s\" private", path) : 0;
}

int rootfs_open(const char *path, struct error *err)
{
	autoclose int target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int tree = -1;
	int r;

	if (target < 0)
		return error_errno(err, "cannot open \"%s\"", path);
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_errno(err, "cannot make \"/\" private");
	r = make_parent_private(path, err);
	if (r < 0)
		return r;
	tree = mount_tree_clone(target, NULL, true);
	if (tree < 0 || mount_tree_attach(tree, target) < 0)
		return error_errno(err, "cannot bind \"%s\" to itself", path);
	return take_fd(&tree);
}

/* The old root is stacked under the new one, so no directory for it is needed: pivot_root(2). */
int rootfs_enter(int root, struct error *err)
{
	autoclose int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (old < 0 || fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return error_errno(err, "cannot pivot the root");
	if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_errno(err, "cannot leave the old root");
	return 0;
}

/* A root is private by itself; to say it of all below would undo what a mount's own options say. */
int rootfs_propagate(const Grpc__Spec *spec, struct error *err)
{
	unsigned long flags = propagation_of(spec);

	if (!(flags & MS_PRIVATE) && mount(NULL, "/", NULL, flags, NULL) < 0)
		return error_errno(err, "cannot set the propagation of \"/\"");
	return 0;
}

int rootfs_protect(struct error *err)
{
	autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || mount_tree_set(root, MOUNT_ATTR_RDONLY, 0, false) < 0)
		return error_errno(err, "cannot make \"/\" read-only");
	return 0;
}
