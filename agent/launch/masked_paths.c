#include "agent/launch/masked_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/base/mount_tree.h"
#include "agent/launch/in_root.h"
#include "common/cleanup.h"
#include "common/error.h"

static bool is_null_device(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/*
 * The container's own null device is whatever its image has, where /dev comes from there. The
 * guest's is for others, too: nobody may change its mode through this one.
 */
static int null_tree(int root)
{
	autoclose int own = in_root_open(root, "/dev/null", O_PATH | O_NOFOLLOW);
	autoclose int tree = -1;

	if (is_null_device(own))
		return mount_tree_clone(own, NULL, false);
	tree = mount_tree_clone(AT_FDCWD, "/dev/null", false);
	if (tree < 0 || mount_tree_set(tree, MOUNT_ATTR_RDONLY, 0, false) < 0)
		return -1;
	return take_fd(&tree);
}

int masked_paths_hide(int root, const char *path, struct error *err)
{
	autoclose int target = in_root_open(root, path, O_PATH);
	autoclose int tree = -1;
	struct stat st;

	if (target == -ENOENT)
		return 0;
	errno = -target;
	if (target < 0 || fstat(target, &st) < 0)
		return error_errno(err, "cannot open \"%s\"", path);
	if (S_ISDIR(st.st_mode))
		tree = mount_tree_new("tmpfs", "tmpfs", "ro", MOUNT_ATTR_RDONLY);
	else
		tree = null_tree(root);
	if (tree < 0 || mount_tree_attach(tree, target) < 0)
		return error_errno(err, "cannot mask \"%s\"", path);
	return 0;
}

int masked_paths_protect(int root, const char *path, struct error *err)
{
	autoclose int target = in_root_open(root, path, O_PATH);
	autoclose int tree = -1;

	if (target == -ENOENT)
		return 0;
	errno = -target;
	if (target < 0)
		return error_errno(err, "cannot open \"%s\"", path);
	tree = mount_tree_clone(target, NULL, true);
	if (tree < 0 || mount_tree_set(tree, MOUNT_ATTR_RDONLY, 0, false) < 0 ||
	    mount_tree_attach(tree, target) < 0)
		return error_errno(err, "cannot make \"%s\" read-only", path);
	return 0;
}
