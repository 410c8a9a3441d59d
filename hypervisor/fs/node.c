/*
 * Nodes: names that become known to the guest, are forgotten, and what a node is.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hypervisor/fs/fs_internal.h"

#define VALID_ALWAYS 86400

uint64_t attr_valid(const struct fs *fs)
{
	static const uint64_t seconds[] = {
		[FS_CACHE_NEVER] = 0,
		[FS_CACHE_AUTO] = 1,
		[FS_CACHE_ALWAYS] = VALID_ALWAYS,
	};

	return seconds[fs->cache];
}

/* As Linux's new_encode_dev(). */
static uint32_t encode_dev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
}

void attr_fill(struct fuse_attr *attr, const struct statx *st)
{
	*attr = (struct fuse_attr){
		.ino = st->stx_ino,
		.size = st->stx_size,
		.blocks = st->stx_blocks,
		.atime = (uint64_t)st->stx_atime.tv_sec,
		.mtime = (uint64_t)st->stx_mtime.tv_sec,
		.ctime = (uint64_t)st->stx_ctime.tv_sec,
		.atimensec = st->stx_atime.tv_nsec,
		.mtimensec = st->stx_mtime.tv_nsec,
		.ctimensec = st->stx_ctime.tv_nsec,
		.mode = st->stx_mode,
		.nlink = st->stx_nlink,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		.rdev = encode_dev(st->stx_rdev_major, st->stx_rdev_minor),
		.blksize = st->stx_blksize,
	};
}

/* To the guest a mount is a file system of its own: two files of two mounts may have one number. */
static void entry_fill(const struct fs *fs, const struct inode *dir, const struct inode *inode,
                       const struct statx *st, struct fuse_entry_out *out)
{
	*out = (struct fuse_entry_out){
		.nodeid = inode->id,
		.entry_valid = attr_valid(fs),
		.attr_valid = attr_valid(fs),
	};
	attr_fill(&out->attr, st);
	if (S_ISDIR(st->stx_mode) && (inode->mount != dir->mount || inode->dev != dir->dev))
		out->attr.flags |= FUSE_ATTR_SUBMOUNT;
}

int entry_add(struct fs *fs, const struct inode *dir, int fd, const struct statx *st,
              struct fuse_entry_out *out, struct inode **inode)
{
	struct inode *added = inode_table_add(&fs->inodes, fd, st);

	if (!added)
		return -ENFILE;
	entry_fill(fs, dir, added, st, out);
	if (inode)
		*inode = added;
	return 0;
}

int entry_find(struct fs *fs, const struct inode *dir, const char *name, struct fuse_entry_out *out)
{
	struct inode *known;
	struct statx st;
	int r = inode_stat_name(dir, name, &st);
	int fd;

	if (r < 0)
		return r;
	known = inode_table_known(&fs->inodes, &st);
	if (known) {
		known->lookups++;
		entry_fill(fs, dir, known, &st, out);
		return 0;
	}
	fd = fs_is_full(fs) ? -1 : openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fs_is_full(fs) ? -ENFILE : -errno;
	r = inode_stat_fd(fd, &st); /* the name may lead elsewhere by now */
	if (r < 0) {
		close(fd);
		return r;
	}
	return entry_add(fs, dir, fd, &st, out, NULL);
}

void entry_drop(struct fs *fs, const struct fuse_entry_out *out)
{
	inode_forget(&fs->inodes, inode_table_find(&fs->inodes, out->nodeid), 1);
}

int fs_lookup(struct fs *fs, struct request *request)
{
	const struct inode *dir = request_inode(fs, request);
	struct fuse_entry_out *out = request_add(request, sizeof(*out));
	const char *name;
	int r = request_take_name(request, &name);

	if (r < 0)
		return r;
	if (!dir || !out)
		return dir ? -EINVAL : -ESTALE;
	return entry_find(fs, dir, name, out);
}

static void forget(struct fs *fs, uint64_t id, uint64_t lookups)
{
	struct inode *inode = inode_table_find(&fs->inodes, id);

	if (inode)
		inode_forget(&fs->inodes, inode, lookups);
}

int fs_forget(struct fs *fs, struct request *request)
{
	const struct fuse_forget_in *in = request_take(request, sizeof(*in));

	forget(fs, request->header.nodeid, in->nlookup);
	return 0;
}

int fs_batch_forget(struct fs *fs, struct request *request)
{
	const struct fuse_batch_forget_in *in = request_take(request, sizeof(*in));
	const struct fuse_forget_one *one;

	for (uint32_t i = 0; i < in->count; i++) {
		one = request_take(request, sizeof(*one));
		if (!one)
			return -EINVAL;
		forget(fs, one->nodeid, one->nlookup);
	}
	return 0;
}

int fs_readlink(struct fs *fs, struct request *request)
{
	struct inode *inode = request_inode(fs, request);
	size_t room = request_room(request);
	struct statx st;
	ssize_t n;
	int r;

	if (!inode)
		return -ESTALE;
	r = inode_stat_fd(inode->fd, &st);
	if (r < 0)
		return r;
	if (inode_is_stale(inode, &st, request->header.pid))
		return -ESTALE;
	n = readlinkat(inode->fd, "", request->reply, room < PATH_MAX ? room : PATH_MAX);
	if (n < 0)
		return -errno;
	request->reply_size = (size_t)n;
	return 0;
}

int fs_statfs(struct fs *fs, struct request *request)
{
	const struct inode *inode = request_inode(fs, request);
	struct fuse_statfs_out *out = request_add(request, sizeof(*out));
	struct statfs st;

	if (!inode || !out)
		return inode ? -EINVAL : -ESTALE;
	if (fstatfs(inode->fd, &st) < 0)
		return -errno;
	out->st = (struct fuse_kstatfs){
		.blocks = st.f_blocks,
		.bfree = st.f_bfree,
		.bavail = st.f_bavail,
		.files = st.f_files,
		.ffree = st.f_ffree,
		.bsize = (uint32_t)st.f_bsize,
		.namelen = (uint32_t)st.f_namelen,
		.frsize = (uint32_t)st.f_frsize,
	};
	return 0;
}
