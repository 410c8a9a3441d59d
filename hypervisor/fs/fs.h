/*
 * A file server: answers the requests of a guest's FUSE client (linux/fuse.h) from a directory of
 * the host. It never follows a link and never leaves the directory: each file is reached by its
 * name in an open directory, and by an O_PATH descriptor after that. Those are opened by
 * /proc/self/fd, which is the process's working directory (fs/isolate.h).
 */
#ifndef HYPERVISOR_FS_FS_H
#define HYPERVISOR_FS_FS_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "hypervisor/fs/caller.h"
#include "hypervisor/fs/id_table.h"
#include "hypervisor/fs/inode.h"

struct closer;
struct entries;

#define FS_LISTINGS_MAX 64 /* directories that are read at once, each with a buffer */

TAILQ_HEAD(listings, entries);

/* What the guest believes without asking. */
enum fs_cache {
	FS_CACHE_NEVER,
	FS_CACHE_AUTO, /* names and attributes for a second; pages until the file has changed */
	FS_CACHE_ALWAYS,
};

struct fs {
	int root;
	enum fs_cache cache;
	struct closer *closer;
	bool ready; /* the guest has said what it speaks */
	struct inode_table inodes;
	struct id_table files; /* of struct file */
	unsigned int files_count;
	unsigned int descriptors_max; /* of nodes and files */
	struct listings listings;     /* directories with a buffer, the oldest first */
	unsigned int listings_count;
	struct caller caller;
	char *body; /* of the request at work, and its answer */
	char *reply;
};

/* Takes @root over, an O_PATH descriptor of the directory. @closer, which may be NULL, is the
 * caller's. As many files can be open as the process may have, but for some. */
void fs_init(struct fs *fs, int root, enum fs_cache cache, struct closer *closer);
void fs_fini(struct fs *fs);
void fs_reset(struct fs *fs); /* the guest has started anew: it knows nothing */

/*
 * Answers one request: the guest's bytes are in the first @readable pieces of @iov, and the others
 * are for the answer; pieces are changed. Returns the number of bytes of the answer.
 */
size_t fs_serve(struct fs *fs, struct iovec *iov, unsigned int readable, unsigned int count);

#endif
