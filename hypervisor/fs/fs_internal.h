/*
 * For the parts of the file server: what each kind of request needs of the others, and their
 * handlers. A handler returns 0, and what it has added to the request is the answer; or a negative
 * errno, which is.
 */
#ifndef HYPERVISOR_FS_FS_INTERNAL_H
#define HYPERVISOR_FS_FS_INTERNAL_H

#include <linux/fuse.h>
#include <stdint.h>

#include "hypervisor/fs/fs.h"
#include "hypervisor/fs/inode.h"
#include "hypervisor/fs/request.h"

/* "N" in /proc/self/fd, the working directory. */
struct fd_name {
	char text[12];
};

struct fd_name fd_name(int fd);

/* A handle of the guest. */
struct file {
	uint64_t id;
	int fd;
	struct inode *inode;
	struct entries *entries; /* of a directory */
};

/* Takes @fd over; NULL: the guest has too many. */
struct file *file_add(struct fs *fs, struct inode *inode, int fd);
void file_close(struct fs *fs, struct file *file);
void files_close(struct fs *fs); /* all */
/* The handle @id of the request's node; NULL: there is none. */
struct file *file_find(const struct fs *fs, uint64_t id);
/* The flags of open(2) that the host's file gets. */
int file_flags(uint32_t flags);
/* Opens a regular file; a descriptor or -errno. */
int file_open(const struct inode *inode, uint32_t flags);
/* The answer to OPEN and CREATE. */
void file_fill(const struct fs *fs, const struct file *file, bool same, struct fuse_open_out *out);

void attr_fill(struct fuse_attr *attr, const struct statx *st);
uint64_t attr_valid(const struct fs *fs); /* for how many seconds the guest believes it */

/* One more reference of the guest to what is @name in @dir. 0 or -errno */
int entry_find(struct fs *fs, const struct inode *dir, const char *name,
               struct fuse_entry_out *out);
/* The same for an O_PATH descriptor, which it takes over; *@inode, if wanted, is its node. */
int entry_add(struct fs *fs, const struct inode *dir, int fd, const struct statx *st,
              struct fuse_entry_out *out, struct inode **inode);
void entry_drop(struct fs *fs, const struct fuse_entry_out *out); /* the guest will not see it */

void entries_free(struct fs *fs, struct entries *entries); /* NULL is fine */

/* The guest has as many nodes and handles as the process can have descriptors. */
bool fs_is_full(const struct fs *fs);

/* The node that the request is about; NULL: the guest does not have it. */
struct inode *request_inode(const struct fs *fs, const struct request *request);

typedef int fs_handler_fn(struct fs *fs, struct request *request);

fs_handler_fn fs_lookup, fs_forget, fs_batch_forget, fs_readlink, fs_statfs;
fs_handler_fn fs_getattr, fs_setattr;
fs_handler_fn fs_mknod, fs_mkdir, fs_symlink, fs_link, fs_create, fs_tmpfile;
fs_handler_fn fs_unlink, fs_rmdir, fs_rename, fs_rename2;
fs_handler_fn fs_open, fs_read, fs_write, fs_release, fs_fsync, fs_lseek, fs_fallocate;
fs_handler_fn fs_copy_file_range, fs_syncfs;
fs_handler_fn fs_opendir, fs_readdir, fs_readdirplus;
fs_handler_fn fs_getxattr, fs_listxattr, fs_setxattr, fs_removexattr;

#endif
