#include "shim/storage/volume_identity.h"

#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "shim/storage/bind_mount.h"
#include "shim/storage/device_volume.h"

static int check_type(int fd, mode_t mode, const char *source, struct error *err)
{
	struct device_volume device;
	struct stat st;

	if (!S_ISDIR(mode) && !S_ISREG(mode) &&
	    (!S_ISCHR(mode) || fstat(fd, &st) < 0 || !device_volume_find(&st, &device)))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "bind of \"%s\", neither a file nor a directory: not supported",
		                 source);
	return 0;
}

static bool has_mounts_below(int fd)
{
	char link[sizeof("/proc/self/fd/") + 3 * sizeof(fd)], path[PATH_MAX];
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	const struct mntent *mount;
	bool found = !mounts;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path));
	while (mounts && len >= 0 && (mount = getmntent(mounts)))
		found |= !strncmp(mount->mnt_dir, path, (size_t)len) &&
		         (mount->mnt_dir[len] == '/' || len == 1);
	if (mounts)
		endmntent(mounts);
	return found;
}

int volume_identity_read(const char *source, int fd, const struct bind_mount_options *options,
                         struct volume_identity *out, struct error *err)
{
	struct statx stat;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_MNT_ID, &stat) < 0)
		return error_errno(err, "cannot stat \"%s\"", source);
	out->device = (uint64_t)stat.stx_dev_major << 32 | stat.stx_dev_minor;
	out->inode = stat.stx_ino;
	out->mount = stat.stx_mnt_id;
	out->read_only = options->read_only;
	out->recursive = options->recursive;
	out->follow = options->follow;
	out->is_directory = S_ISDIR(stat.stx_mode);
	out->has_mounts = options->recursive && out->is_directory && has_mounts_below(fd);
	return check_type(fd, stat.stx_mode, source, err);
}
