#include "shim/storage/bind_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/error.h"

#define MODE_DIR  0755 /* of what is mounted over: nobody sees it */
#define MODE_FILE 0444

static const struct {
	unsigned long flag;
	uint64_t attribute;
} attributes[] = {
	{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
	{ MS_NOATIME, MOUNT_ATTR_NOATIME },
	{ MS_STRICTATIME, MOUNT_ATTR_STRICTATIME },
};

static int set_attributes(int mount, const struct bind_mount_options *options)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
	};

	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		if (options->flags & attributes[i].flag)
			attr.attr_set |= attributes[i].attribute;
	if (options->flags & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME))
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	if (options->read_only)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	return mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
}

static int set_private(int mount)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };

	return mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
}

int bind_mount_source(const char *source, struct error *err)
{
	int fd = open_tree(AT_FDCWD, source, OPEN_TREE_CLOEXEC);

	return fd < 0 ? error_errno(err, "cannot bind \"%s\"", source) : fd;
}

int bind_mount_clone(int fd, const char *source, const struct bind_mount_options *options,
                     struct error *err)
{
	autoclose int mount = open_tree(fd, "",
	                                AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
	                                        (options->recursive ? AT_RECURSIVE : 0));

	if (mount < 0)
		return error_errno(err, "cannot bind \"%s\"", source);
	if ((!options->follow && set_private(mount) < 0) || set_attributes(mount, options) < 0)
		return error_errno(err, "cannot set attributes of a bind of \"%s\"", source);
	return take_fd(&mount);
}

int bind_mount_open(const char *source, const struct bind_mount_options *options, struct error *err)
{
	autoclose int fd = bind_mount_source(source, err);

	return fd < 0 ? fd : bind_mount_clone(fd, source, options, err);
}

/* Where the mount goes: there already, or made after its like. */
static int open_target(int dirfd, const char *name, bool is_dir)
{
	autoclose int fd = -1;
	struct stat st;

	if (is_dir) {
		if (mkdirat(dirfd, name, MODE_DIR) < 0 && errno != EEXIST)
			return -1;
	} else {
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE_FILE);
		if (fd < 0 && errno != EEXIST)
			return -1;
		if (fd >= 0)
			close(take_fd(&fd));
	}
	fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode) == is_dir || S_ISLNK(st.st_mode)) {
		errno = is_dir ? ENOTDIR : EISDIR;
		return -1;
	}
	return take_fd(&fd);
}

int bind_mount_attach(int mount, int dirfd, const char *name, struct error *err)
{
	autoclose int target = -1;
	struct stat st;

	if (fstat(mount, &st) < 0)
		return error_errno(err, "cannot stat a bind for \"%s\"", name);
	target = open_target(dirfd, name, S_ISDIR(st.st_mode));
	if (target < 0)
		return error_errno(err, "cannot make mount point \"%s\"", name);
	if (move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return error_errno(err, "cannot attach a bind at \"%s\"", name);
	return 0;
}
