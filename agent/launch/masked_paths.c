#include "agent/launch/masked_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "agent/launch/in_root.h"
#include "common/cleanup.h"
#include "common/error.h"

static bool is_null_device(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

int masked_paths_hide(int root, const char *path, struct error *err)
{
	autoclose int fd = in_root_open(root, path, O_PATH);
	autoclose int null = -1;
	char source[IN_ROOT_PATH_SIZE];
	char target[IN_ROOT_PATH_SIZE];
	struct stat st;
	int r;

	if (fd == -ENOENT)
		return 0;
	errno = -fd;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open '%s'", path);
	in_root_path(fd, target);
	if (S_ISDIR(st.st_mode)) {
		r = mount("tmpfs", target, "tmpfs", MS_RDONLY, "");
	} else {
		null = in_root_open(root, "/dev/null", O_PATH | O_NOFOLLOW);
		/* The container's own is whatever its image has, where /dev comes from there. */
		r = mount(is_null_device(null) ? in_root_path(null, source) : "/dev/null", target,
		          NULL, MS_BIND, NULL);
	}
	if (r < 0)
		return error_errno(err, "mask '%s'", path);
	return 0;
}

/* What the flags of a mount were: a remount that leaves one out takes it away. */
static unsigned long mount_flags(int fd)
{
	static const struct {
		unsigned long statvfs;
		unsigned long mount;
	} rows[] = {
		{ ST_NOSUID, MS_NOSUID },
		{ ST_NODEV, MS_NODEV },
		{ ST_NOEXEC, MS_NOEXEC },
	};
	unsigned long flags = 0;
	struct statvfs fs;
	size_t i;

	if (fstatvfs(fd, &fs) < 0)
		return 0;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (fs.f_flag & rows[i].statvfs)
			flags |= rows[i].mount;
	return flags;
}

int masked_paths_protect(int root, const char *path, struct error *err)
{
	autoclose int fd = in_root_open(root, path, O_PATH);
	autoclose int top = -1;
	char name[IN_ROOT_PATH_SIZE];

	if (fd == -ENOENT)
		return 0;
	errno = -fd;
	if (fd < 0 ||
	    mount(in_root_path(fd, name), in_root_path(fd, name), NULL, MS_BIND | MS_REC, NULL) < 0)
		return error_errno(err, "bind '%s' to itself", path);
	top = in_root_open(root, path, O_PATH);
	errno = -top;
	if (top < 0 || mount(NULL, in_root_path(top, name), NULL,
	                     MS_BIND | MS_REMOUNT | MS_RDONLY | mount_flags(top), NULL) < 0)
		return error_errno(err, "make '%s' read-only", path);
	return 0;
}
