/*
 * Names: made, moved and removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor/fs/fs_internal.h"

/* The directory and the name in it that a request is about. */
struct place {
	const struct inode *dir;
	const char *name;
};

static int take_place(const struct fs *fs, struct request *request, uint64_t dir, struct place *out)
{
	out->dir = inode_table_find(&fs->inodes, dir);
	return out->dir ? request_take_name(request, &out->name) : -ESTALE;
}

static int become_owner(struct fs *fs, const struct request *request, uint32_t umask)
{
	int r = fs_is_full(fs) ? -ENFILE : 0;

	if (r == 0)
		r = caller_become(&fs->caller, request->header.uid, request->header.gid);
	if (r == 0)
		r = caller_keep_setid(&fs->caller, true);
	caller_set_umask(&fs->caller, umask & 0777);
	return r;
}

/* What has just been made there is what the answer tells of; a guest without room for it has made it
 * all the same. */
static int answer_made(struct fs *fs, struct request *request, const struct place *place, int made)
{
	struct fuse_entry_out *out;

	if (made < 0)
		return -errno;
	out = request_add(request, sizeof(*out));
	return out ? entry_find(fs, place->dir, place->name, out) : -EINVAL;
}

int fs_mknod(struct fs *fs, struct request *request)
{
	const struct fuse_mknod_in *in = request_take(request, sizeof(*in));
	struct place place;
	int r = take_place(fs, request, request->header.nodeid, &place);

	if (r == 0)
		r = become_owner(fs, request, in->umask);
	if (r)
		return r;
	r = mknodat(place.dir->fd, place.name, in->mode, in->rdev);
	return answer_made(fs, request, &place, r);
}

int fs_mkdir(struct fs *fs, struct request *request)
{
	const struct fuse_mkdir_in *in = request_take(request, sizeof(*in));
	struct place place;
	int r = take_place(fs, request, request->header.nodeid, &place);

	if (r == 0)
		r = become_owner(fs, request, in->umask);
	if (r)
		return r;
	r = mkdirat(place.dir->fd, place.name, in->mode & 07777);
	return answer_made(fs, request, &place, r);
}

int fs_symlink(struct fs *fs, struct request *request)
{
	const char *target;
	struct place place;
	int r = take_place(fs, request, request->header.nodeid, &place);

	if (r == 0)
		r = request_take_text(request, &target);
	if (r == 0)
		r = become_owner(fs, request, 0);
	if (r)
		return r;
	r = symlinkat(target, place.dir->fd, place.name);
	return answer_made(fs, request, &place, r);
}

int fs_link(struct fs *fs, struct request *request)
{
	const struct fuse_link_in *in = request_take(request, sizeof(*in));
	struct inode *inode = inode_table_find(&fs->inodes, in->oldnodeid);
	struct fd_name old;
	struct place place;
	int r = take_place(fs, request, request->header.nodeid, &place);

	if (r || !inode)
		return r ? r : -ESTALE;
	old = fd_name(inode->fd);
	r = linkat(AT_FDCWD, old.text, place.dir->fd, place.name, AT_SYMLINK_FOLLOW);
	if (r == 0)
		inode->removed_by_guest = false;
	return answer_made(fs, request, &place, r);
}

/* Which node it is whose last name the guest is about to remove; NULL: of none that it has. */
static struct inode *last_name_of(const struct fs *fs, const struct place *place)
{
	struct statx st;

	if (inode_stat_name(place->dir, place->name, &st) < 0)
		return NULL;
	if (st.stx_nlink > 1 && !S_ISDIR(st.stx_mode))
		return NULL;
	return inode_table_known(&fs->inodes, &st);
}

static int remove_name(struct fs *fs, struct request *request, int flags)
{
	struct inode *inode;
	struct place place;
	int r = take_place(fs, request, request->header.nodeid, &place);

	if (r)
		return r;
	inode = last_name_of(fs, &place);
	if (unlinkat(place.dir->fd, place.name, flags) < 0)
		return -errno;
	if (inode)
		inode->removed_by_guest = true;
	return 0;
}

int fs_unlink(struct fs *fs, struct request *request)
{
	return remove_name(fs, request, 0);
}

int fs_rmdir(struct fs *fs, struct request *request)
{
	return remove_name(fs, request, AT_REMOVEDIR);
}

static int move(struct fs *fs, struct request *request, uint64_t to_dir, unsigned int flags)
{
	struct inode *replaced;
	struct place from, to;
	int r = take_place(fs, request, request->header.nodeid, &from);

	if (r == 0)
		r = take_place(fs, request, to_dir, &to);
	if (r)
		return r;
	replaced = flags & (RENAME_NOREPLACE | RENAME_EXCHANGE) ? NULL : last_name_of(fs, &to);
	if (renameat2(from.dir->fd, from.name, to.dir->fd, to.name, flags) < 0)
		return -errno;
	if (replaced)
		replaced->removed_by_guest = true;
	return 0;
}

int fs_rename(struct fs *fs, struct request *request)
{
	const struct fuse_rename_in *in = request_take(request, sizeof(*in));

	return move(fs, request, in->newdir, 0);
}

int fs_rename2(struct fs *fs, struct request *request)
{
	const struct fuse_rename2_in *in = request_take(request, sizeof(*in));

	return move(fs, request, in->newdir, in->flags);
}

/* The answer to CREATE and TMPFILE. */
struct created {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

_Static_assert(sizeof(struct created) ==
                       sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out),
               "one comes right after the other");

/* The new file @fd, as a node and a handle. Takes @fd over. */
static int answer_created(struct fs *fs, struct created *out, const struct inode *dir, int fd,
                          bool nameless)
{
	struct fd_name name = fd_name(fd);
	struct inode *inode;
	struct file *file;
	struct statx st;
	int path_fd;
	int r;

	path_fd = open(name.text, O_PATH | O_CLOEXEC);
	r = path_fd < 0 ? -errno : inode_stat_fd(path_fd, &st);
	if (r < 0) {
		if (path_fd >= 0)
			close(path_fd);
		close(fd);
		return r;
	}
	r = entry_add(fs, dir, path_fd, &st, &out->entry, &inode);
	if (r < 0) {
		close(fd);
		return r;
	}
	inode->removed_by_guest = nameless;
	file = file_add(fs, inode, fd);
	if (!file) {
		entry_drop(fs, &out->entry);
		return -ENFILE;
	}
	file_fill(fs, file, inode_note_version(inode, &st), &out->open);
	return 0;
}

/* The host has made one since the guest saw none: it is opened as what it is. */
static int open_existing(struct fs *fs, struct created *out, const struct place *place,
                         const struct fuse_create_in *in)
{
	struct inode *inode;
	struct file *file;
	int fd, r;

	r = entry_find(fs, place->dir, place->name, &out->entry);
	if (r)
		return r;
	inode = inode_table_find(&fs->inodes, out->entry.nodeid);
	r = caller_keep_setid(&fs->caller, !(in->open_flags & FUSE_OPEN_KILL_SUIDGID));
	fd = r < 0 ? r : file_open(inode, in->flags);
	file = fd < 0 ? NULL : file_add(fs, inode, fd);
	if (!file) {
		entry_drop(fs, &out->entry);
		return fd < 0 ? fd : -ENFILE;
	}
	inode->cached = false;
	file_fill(fs, file, false, &out->open);
	return 0;
}

int fs_create(struct fs *fs, struct request *request)
{
	const struct fuse_create_in *in = request_take(request, sizeof(*in));
	struct created *out = request_add(request, sizeof(*out));
	struct place place;
	int r = take_place(fs, request, request->header.nodeid, &place);
	int fd;

	if (r == 0)
		r = out ? become_owner(fs, request, in->umask) : -EINVAL;
	if (r)
		return r;
	fd = openat(place.dir->fd, place.name,
	            file_flags(in->flags) | O_CREAT | O_EXCL | O_NOFOLLOW, in->mode & 07777);
	if (fd < 0 && errno == EEXIST && !(in->flags & O_EXCL))
		return open_existing(fs, out, &place, in);
	return fd < 0 ? -errno : answer_created(fs, out, place.dir, fd, false);
}

int fs_tmpfile(struct fs *fs, struct request *request)
{
	const struct fuse_create_in *in = request_take(request, sizeof(*in));
	struct created *out = request_add(request, sizeof(*out));
	const struct inode *dir = request_inode(fs, request);
	int flags = file_flags(in->flags) & ~O_TRUNC;
	int r, fd;

	if (!dir || !out)
		return dir ? -EINVAL : -ESTALE;
	r = become_owner(fs, request, in->umask);
	if (r)
		return r;
	if ((flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	fd = openat(dir->fd, ".", flags | O_TMPFILE | (in->flags & O_EXCL), in->mode & 07777);
	return fd < 0 ? -errno : answer_created(fs, out, dir, fd, true);
}
