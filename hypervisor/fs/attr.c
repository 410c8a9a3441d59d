/*
 * Attributes: read, and changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "hypervisor/fs/fs_internal.h"

static int answer_attr(struct fs *fs, struct request *request, const struct inode *inode)
{
	struct fuse_attr_out *out = request_add(request, sizeof(*out));
	struct statx st;
	int r = inode_stat_fd(inode->fd, &st);

	if (r < 0)
		return r;
	if (!out)
		return -EINVAL;
	out->attr_valid = attr_valid(fs);
	attr_fill(&out->attr, &st);
	return 0;
}

int fs_getattr(struct fs *fs, struct request *request)
{
	const struct inode *inode = request_inode(fs, request);

	return inode ? answer_attr(fs, request, inode) : -ESTALE;
}

static int set_mode(const struct inode *inode, uint32_t mode)
{
	struct fd_name name = fd_name(inode->fd);

	return fchmodat(AT_FDCWD, name.text, mode & 07777, 0) < 0 ? -errno : 0;
}

static int set_owner(const struct inode *inode, const struct fuse_setattr_in *in)
{
	uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
	gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;

	return fchownat(inode->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno
	                                                                                  : 0;
}

static int set_size(const struct fs *fs, const struct inode *inode,
                    const struct fuse_setattr_in *in)
{
	const struct file *file = in->valid & FATTR_FH ? file_find(fs, in->fh) : NULL;
	autoclose int opened = -1;
	int fd;

	if (file) {
		fd = file->fd;
	} else {
		opened = file_open(inode, O_RDWR);
		if (opened < 0)
			return opened;
		fd = opened;
	}
	return ftruncate(fd, (off_t)in->size) < 0 ? -errno : 0;
}

static struct timespec time_of(uint32_t valid, uint32_t set, uint32_t now, uint64_t seconds,
                               uint32_t nanoseconds)
{
	if (!(valid & set))
		return (struct timespec){ .tv_nsec = UTIME_OMIT };
	if (valid & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	return (struct timespec){ .tv_sec = (time_t)seconds, .tv_nsec = nanoseconds };
}

static int set_times(const struct inode *inode, const struct fuse_setattr_in *in)
{
	struct fd_name name = fd_name(inode->fd);
	const struct timespec times[] = {
		time_of(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
		time_of(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	};

	return utimensat(AT_FDCWD, name.text, times, 0) < 0 ? -errno : 0;
}

/* A path that led to a file that the host has removed is to be walked anew. Who has the file open
 * goes on with it. */
static int check_is_there(struct inode *inode, const struct fuse_setattr_in *in, uint32_t pid)
{
	struct statx st;
	int r;

	if (in->valid & FATTR_SIZE ? (in->valid & FATTR_FH) : inode->opens)
		return 0;
	r = inode_stat_fd(inode->fd, &st);
	if (r < 0)
		return r;
	return inode_is_stale(inode, &st, pid) ? -ESTALE : 0;
}

/* A change of the owner does in any case. */
static bool kills_setid(const struct fuse_setattr_in *in)
{
	return (in->valid & FATTR_KILL_SUIDGID) && (in->valid & FATTR_SIZE);
}

int fs_setattr(struct fs *fs, struct request *request)
{
	const struct fuse_setattr_in *in = request_take(request, sizeof(*in));
	struct inode *inode = request_inode(fs, request);
	int r;

	if (!inode)
		return -ESTALE;
	r = check_is_there(inode, in, request->header.pid);
	if (r == 0)
		r = caller_keep_setid(&fs->caller, !kills_setid(in));
	if (r == 0 && (in->valid & FATTR_MODE))
		r = set_mode(inode, in->mode);
	if (r == 0 && (in->valid & (FATTR_UID | FATTR_GID)))
		r = set_owner(inode, in);
	if (r == 0 && (in->valid & FATTR_SIZE))
		r = set_size(fs, inode, in);
	if (r == 0 && (in->valid & (FATTR_ATIME | FATTR_MTIME)))
		r = set_times(inode, in);
	return r < 0 ? r : answer_attr(fs, request, inode);
}
