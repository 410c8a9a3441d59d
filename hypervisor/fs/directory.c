/*
 * Open directories, and their entries as the kernel gives them: an entry's offset is where the next
 * one is, and stays so for as long as the directory is open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/fs/fs_internal.h"

#define BUFFER_BYTES (16 << 10)

/* A guest may have as many directories open as files: few are read at once, and have a buffer. */
struct entries {
	TAILQ_ENTRY(entries) in_listings;
	char *buffer; /* NULL: none */
	size_t at;
	size_t end;
	off_t offset; /* of the next one */
	bool lost; /* the directory's own offset is another: entries were dropped with the buffer */
};

static void drop_buffer(struct fs *fs, struct entries *entries)
{
	if (!entries->buffer)
		return;
	TAILQ_REMOVE(&fs->listings, entries, in_listings);
	fs->listings_count--;
	free(entries->buffer);
	entries->buffer = NULL;
	entries->lost = entries->at != entries->end;
	entries->at = entries->end = 0;
}

/* From the directory that has had one for the longest time, if there are too many. */
static void need_buffer(struct fs *fs, struct entries *entries)
{
	if (entries->buffer)
		return;
	if (fs->listings_count == FS_LISTINGS_MAX)
		drop_buffer(fs, TAILQ_FIRST(&fs->listings));
	entries->buffer = mem_alloc(BUFFER_BYTES);
	TAILQ_INSERT_TAIL(&fs->listings, entries, in_listings);
	fs->listings_count++;
}

void entries_free(struct fs *fs, struct entries *entries)
{
	if (entries)
		drop_buffer(fs, entries);
	free(entries);
}

int fs_opendir(struct fs *fs, struct request *request)
{
	struct fuse_open_out *out = request_add(request, sizeof(*out));
	struct inode *inode = request_inode(fs, request);
	struct fd_name name;
	struct file *file;
	struct statx st;
	int r, fd;

	if (!inode || !out)
		return inode ? -EINVAL : -ESTALE;
	if (!S_ISDIR(inode->type))
		return -ENOTDIR;
	r = fs_is_full(fs) ? -ENFILE : inode_stat_fd(inode->fd, &st);
	if (r < 0)
		return r;
	if (inode_is_stale(inode, &st, request->header.pid))
		return -ESTALE;
	name = fd_name(inode->fd);
	fd = open(name.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	file = file_add(fs, inode, fd);
	if (!file)
		return -ENFILE;
	file->entries = mem_new(struct entries);
	out->fh = file->id;
	if (fs->cache == FS_CACHE_ALWAYS)
		out->open_flags =
			FOPEN_CACHE_DIR | (inode_note_version(inode, &st) ? FOPEN_KEEP_CACHE : 0);
	return 0;
}

/* The next entry, which stays the next until it is consumed; NULL: the end, or *@r is an error. */
static const struct dirent64 *next_entry(struct fs *fs, struct file *file, int *r)
{
	struct entries *entries = file->entries;
	ssize_t n;

	*r = 0;
	if (entries->at == entries->end) {
		need_buffer(fs, entries);
		n = getdents64(file->fd, entries->buffer, BUFFER_BYTES);
		*r = n < 0 ? -errno : 0;
		entries->at = 0;
		entries->end = n < 0 ? 0 : (size_t)n;
	}
	if (entries->at == entries->end) {
		drop_buffer(fs, entries);
		return NULL;
	}
	return (const struct dirent64 *)(entries->buffer + entries->at);
}

static void consume_entry(struct file *file, const struct dirent64 *entry)
{
	file->entries->at += entry->d_reclen;
	file->entries->offset = entry->d_off;
}

static int go_to(struct file *file, off_t offset)
{
	struct entries *entries = file->entries;

	if (entries->offset == offset && !entries->lost)
		return 0;
	if (lseek(file->fd, offset, SEEK_SET) < 0)
		return -errno;
	entries->at = entries->end = 0;
	entries->offset = offset;
	entries->lost = false;
	return 0;
}

static void fill_dirent(struct fuse_dirent *out, const struct dirent64 *entry, size_t length)
{
	out->ino = entry->d_ino;
	out->off = (uint64_t)entry->d_off;
	out->namelen = (uint32_t)length;
	out->type = entry->d_type;
	memcpy(out->name, entry->d_name, length);
}

/* Without a node the guest takes its name alone: that of what has gone meanwhile, too. */
static void fill_node(struct fs *fs, const struct inode *dir, const struct dirent64 *entry,
                      struct fuse_entry_out *out)
{
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return;
	if (entry_find(fs, dir, entry->d_name, out) < 0)
		*out = (struct fuse_entry_out){ 0 };
}

/* false: the guest has no room for it. */
static bool add_entry(struct fs *fs, struct request *request, const struct inode *dir,
                      const struct dirent64 *entry, size_t max, bool plus)
{
	size_t length = strlen(entry->d_name);
	size_t size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
	struct fuse_direntplus *out;

	if (plus)
		size += sizeof(struct fuse_entry_out);
	if (request->reply_size + size > max)
		return false;
	out = request_add(request, size);
	if (!out)
		return false;
	if (plus)
		fill_node(fs, dir, entry, &out->entry_out);
	fill_dirent(plus ? &out->dirent : (struct fuse_dirent *)out, entry, length);
	return true;
}

static int read_entries(struct fs *fs, struct request *request, bool plus)
{
	const struct fuse_read_in *in = request_take(request, sizeof(*in));
	struct file *file = file_find(fs, in->fh);
	const struct dirent64 *entry;
	int r;

	if (!file || !file->entries)
		return -EBADF;
	r = go_to(file, (off_t)in->offset);
	if (r < 0)
		return r;
	while ((entry = next_entry(fs, file, &r))) {
		if (!add_entry(fs, request, file->inode, entry, in->size, plus))
			return 0;
		consume_entry(file, entry);
	}
	return request->reply_size ? 0 : r;
}

int fs_readdir(struct fs *fs, struct request *request)
{
	return read_entries(fs, request, false);
}

int fs_readdirplus(struct fs *fs, struct request *request)
{
	return read_entries(fs, request, true);
}
