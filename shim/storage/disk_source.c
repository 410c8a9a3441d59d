#include "shim/storage/disk_source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"

#define NODE "disk"

/*
 * A directory where a node of any device can be made: a file system that is mounted nowhere. The
 * host's own node may have another name, or be another device's by now.
 */
static int open_nodes(struct error *err)
{
	autoclose int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int fd = -1;

	if (context >= 0 && syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? error_errno(err, "cannot make a file system for device nodes") : fd;
}

static int open_as(int dir, const char *path, bool read_only)
{
	return openat(dir, path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
}

/* A device that is read-only may be opened to write all the same. */
static bool is_read_only(int fd)
{
	int read_only = 0;
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && ioctl(fd, BLKROGET, &read_only) == 0 &&
	       read_only;
}

static int open_best(int dir, const char *path, bool read_only, struct error *err)
{
	autoclose int fd = open_as(dir, path, read_only);

	if (!read_only &&
	    (fd < 0 ? errno == EROFS || errno == EACCES || errno == EPERM : is_read_only(fd))) {
		cleanup_close(&fd);
		fd = open_as(dir, path, true);
	}
	if (fd < 0) {
		int r = error_errno(err, "cannot open it");

		if (err &&
		    (errno == ENXIO || errno == ENOENT || errno == ENODEV || errno == ENOMEDIUM))
			err->code = ERROR_NOT_FOUND;
		return r;
	}
	return take_fd(&fd);
}

static int open_number(dev_t number, bool read_only, struct error *err)
{
	autoclose int nodes = open_nodes(err);

	if (nodes < 0)
		return nodes;
	if (mknodat(nodes, NODE, S_IFBLK | 0600, number) < 0)
		return error_errno(err, "cannot make a node");
	return open_best(nodes, NODE, read_only, err);
}

int disk_source_open(const struct disk_source *source, struct error *err)
{
	autoclose int fd = source->path ? open_best(AT_FDCWD, source->path, source->read_only, err)
	                                : open_number(source->number, source->read_only, err);
	struct stat st;

	if (fd < 0 && source->path)
		return error_wrap(err, "disk \"%s\"", source->path);
	if (fd < 0)
		return error_wrap(err, "disk %u:%u", major(source->number), minor(source->number));
	if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "disk \"%s\": neither a regular file nor a block device",
		                 source->path);
	return take_fd(&fd);
}
