/*
 * Open files.
 *
 * The host's file never has O_APPEND: what the guest's page cache writes back has its place already
 * (a mapping of such a file), and what a process appends says so itself.
 */
#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/fs/closer.h"
#include "hypervisor/fs/fs_internal.h"

#define COPY_MAX (1U << 30) /* of one COPY_FILE_RANGE: its answer has 32 bits */

struct file *file_add(struct fs *fs, struct inode *inode, int fd)
{
	struct file *file = mem_new(struct file);

	*file = (struct file){ .fd = fd, .inode = inode };
	file->id = id_table_add(&fs->files, file);
	if (!file->id) {
		close(fd);
		free(file);
		return NULL;
	}
	inode_hold(inode);
	fs->files_count++;
	return file;
}

void file_close(struct fs *fs, struct file *file)
{
	id_table_remove(&fs->files, file->id);
	fs->files_count--;
	inode_release(&fs->inodes, file->inode);
	entries_free(fs, file->entries);
	closer_add(fs->closer, file->fd);
	free(file);
}

void files_close(struct fs *fs)
{
	for (uint32_t i = 0; i < fs->files.count; i++)
		if (fs->files.slots[i].thing)
			file_close(fs, fs->files.slots[i].thing);
	id_table_fini(&fs->files);
}

struct file *file_find(const struct fs *fs, uint64_t id)
{
	return id_table_find(&fs->files, id);
}

int file_flags(uint32_t flags)
{
	return (int)(flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_NOATIME)) | O_CLOEXEC | O_NOCTTY;
}

/* Nothing else is ever opened: a FIFO would wait, and a device act. */
int file_open(const struct inode *inode, uint32_t flags)
{
	struct fd_name name = fd_name(inode->fd);
	int fd;

	if (!S_ISREG(inode->type))
		return -ENXIO;
	fd = open(name.text, file_flags(flags));
	return fd < 0 ? -errno : fd;
}

void file_fill(const struct fs *fs, const struct file *file, bool same, struct fuse_open_out *out)
{
	out->fh = file->id;
	if (fs->cache == FS_CACHE_NEVER)
		out->open_flags = FOPEN_DIRECT_IO;
	else if (same || fs->cache == FS_CACHE_ALWAYS)
		out->open_flags = FOPEN_KEEP_CACHE;
}

int fs_open(struct fs *fs, struct request *request)
{
	const struct fuse_open_in *in = request_take(request, sizeof(*in));
	struct fuse_open_out *out = request_add(request, sizeof(*out));
	struct inode *inode = request_inode(fs, request);
	struct file *file;
	struct statx st;
	int r, fd;

	if (!inode || !out)
		return inode ? -EINVAL : -ESTALE;
	r = fs_is_full(fs) ? -ENFILE : inode_stat_fd(inode->fd, &st);
	if (r == 0 && inode_is_stale(inode, &st, request->header.pid))
		r = -ESTALE;
	if (r == 0 && (in->flags & O_TRUNC))
		r = caller_keep_setid(&fs->caller, !(in->open_flags & FUSE_OPEN_KILL_SUIDGID));
	if (r < 0)
		return r;
	fd = file_open(inode, in->flags);
	if (fd < 0)
		return fd;
	file = file_add(fs, inode, fd);
	if (!file)
		return -ENFILE;
	file_fill(fs, file, inode_note_version(inode, &st), out);
	return 0;
}

int fs_release(struct fs *fs, struct request *request)
{
	const struct fuse_release_in *in = request_take(request, sizeof(*in));
	struct file *file = file_find(fs, in->fh);

	if (!file)
		return -EBADF;
	file_close(fs, file);
	return 0;
}

static int pieces_for_call(const struct pieces *pieces)
{
	return pieces->count < IOV_MAX ? (int)pieces->count : IOV_MAX;
}

int fs_read(struct fs *fs, struct request *request)
{
	const struct fuse_read_in *in = request_take(request, sizeof(*in));
	const struct file *file = file_find(fs, in->fh);
	ssize_t n;

	if (!file)
		return -EBADF;
	pieces_limit(&request->answer, in->size);
	n = preadv(file->fd, request->answer.iov, pieces_for_call(&request->answer),
	           (off_t)in->offset);
	if (n < 0)
		return -errno;
	request->in_place = (size_t)n;
	return 0;
}

int fs_write(struct fs *fs, struct request *request)
{
	const struct fuse_write_in *in = request_take(request, sizeof(*in));
	bool cached = in->write_flags & FUSE_WRITE_CACHE;
	struct fuse_write_out *out = request_add(request, sizeof(*out));
	const struct file *file = file_find(fs, in->fh);
	ssize_t n;
	int r;

	if (!file)
		return -EBADF;
	if (!out || request->data.bytes < in->size)
		return -EINVAL;
	pieces_limit(&request->data, in->size);
	r = caller_keep_setid(&fs->caller, !(in->write_flags & FUSE_WRITE_KILL_SUIDGID));
	if (r < 0)
		return r;
	n = pwritev2(file->fd, request->data.iov, pieces_for_call(&request->data),
	             (off_t)in->offset, !cached && (in->flags & O_APPEND) ? RWF_APPEND : 0);
	if (n < 0)
		return -errno;
	out->size = (uint32_t)n;
	return 0;
}

int fs_fsync(struct fs *fs, struct request *request)
{
	const struct fuse_fsync_in *in = request_take(request, sizeof(*in));
	const struct file *file = file_find(fs, in->fh);
	int r;

	if (!file)
		return -EBADF;
	r = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(file->fd) : fsync(file->fd);
	return r < 0 ? -errno : 0;
}

int fs_lseek(struct fs *fs, struct request *request)
{
	const struct fuse_lseek_in *in = request_take(request, sizeof(*in));
	struct fuse_lseek_out *out = request_add(request, sizeof(*out));
	const struct file *file = file_find(fs, in->fh);
	off_t offset;

	if (!file || file->entries || !out)
		return -EBADF;
	offset = lseek(file->fd, (off_t)in->offset, (int)in->whence);
	if (offset < 0)
		return -errno;
	out->offset = (uint64_t)offset;
	return 0;
}

/* The guest does not say who may keep set-user-ID bits here: root may. */
static int keep_setid_of(struct fs *fs, const struct request *request)
{
	return caller_keep_setid(&fs->caller, request->header.uid == 0);
}

int fs_fallocate(struct fs *fs, struct request *request)
{
	const struct fuse_fallocate_in *in = request_take(request, sizeof(*in));
	const struct file *file = file_find(fs, in->fh);
	int r;

	if (!file)
		return -EBADF;
	r = keep_setid_of(fs, request);
	if (r < 0)
		return r;
	r = fallocate(file->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length);
	return r < 0 ? -errno : 0;
}

int fs_copy_file_range(struct fs *fs, struct request *request)
{
	const struct fuse_copy_file_range_in *in = request_take(request, sizeof(*in));
	struct fuse_write_out *out = request_add(request, sizeof(*out));
	const struct file *from = file_find(fs, in->fh_in);
	const struct file *to = file_find(fs, in->fh_out);
	off_t from_offset = (off_t)in->off_in;
	off_t to_offset = (off_t)in->off_out;
	ssize_t n;
	int r;

	if (!from || !to || !out)
		return -EBADF;
	r = keep_setid_of(fs, request);
	if (r < 0)
		return r;
	n = copy_file_range(from->fd, &from_offset, to->fd, &to_offset,
	                    in->len < COPY_MAX ? in->len : COPY_MAX, (unsigned int)in->flags);
	if (n < 0)
		return -errno;
	out->size = (uint32_t)n;
	return 0;
}

int fs_syncfs(struct fs *fs, struct request *request)
{
	const struct inode *inode = request_inode(fs, request);
	struct fd_name name;
	autoclose int fd = -1;

	if (!inode || !S_ISDIR(inode->type))
		return -ESTALE;
	name = fd_name(inode->fd);
	fd = open(name.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || syncfs(fd) < 0 ? -errno : 0;
}
