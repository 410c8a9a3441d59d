/*
 * The files that the guest knows, each with an O_PATH descriptor. The guest counts: it has got a
 * node from so many answers, and forgets so many.
 */
#ifndef HYPERVISOR_FS_INODE_H
#define HYPERVISOR_FS_INODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "hypervisor/fs/id_table.h"

struct closer;

/* Of which file the guest's kernel may have pages: it is the same as long as these are. */
struct inode_version {
	struct statx_timestamp mtime;
	struct statx_timestamp ctime;
	uint64_t size;
};

struct inode {
	LIST_ENTRY(inode) in_bucket;
	uint64_t id;
	int fd;
	uint64_t dev; /* makedev(3) */
	uint64_t ino;
	uint64_t mount;
	mode_t type;           /* S_IFMT */
	uint64_t lookups;      /* the guest's references */
	unsigned int opens;    /* handles of it */
	bool removed_by_guest; /* its last name was */
	uint32_t told_stale;   /* the process of the guest that was told last; 0: none */
	bool cached;           /* the guest may have pages, of @version */
	struct inode_version version;
};

LIST_HEAD(inode_bucket, inode);

struct inode_table {
	struct closer
		*closer; /* of those that the guest has forgotten; NULL: they are closed at once */
	struct id_table ids;
	struct inode_bucket *buckets;
	uint32_t bucket_count; /* a power of two */
	uint32_t count;
};

void inode_table_init(struct inode_table *table, struct closer *closer);
void inode_table_fini(struct inode_table *table); /* closes all; usable after another init */

struct inode *inode_table_find(const struct inode_table *table, uint64_t id);
/* The one that the guest has of the file that @st is of; NULL: none. */
struct inode *inode_table_known(const struct inode_table *table, const struct statx *st);

/*
 * The node of the file that @fd, an O_PATH descriptor, and @st are of: one more lookup of a known
 * one, or a new one. Takes @fd over. NULL: too many.
 */
struct inode *inode_table_add(struct inode_table *table, int fd, const struct statx *st);
void inode_forget(struct inode_table *table, struct inode *inode, uint64_t lookups);

/* A handle's reference. */
void inode_hold(struct inode *inode);
void inode_release(struct inode_table *table, struct inode *inode);

/* What the guest has in its page cache becomes that of @st; true: it was so already. */
bool inode_note_version(struct inode *inode, const struct statx *st);

/* STATX_BASIC_STATS and STATX_MNT_ID of a descriptor; 0 or -errno. */
int inode_stat_fd(int fd, struct statx *out);
/* The same of a name in @dir, which is not followed. */
int inode_stat_name(const struct inode *dir, const char *name, struct statx *out);
uint64_t inode_dev(const struct statx *st);

/*
 * The host has removed its last name: a path that led to it leads elsewhere now. Not for the root of a
 * mount, which needs no name, nor for a process, @pid, that comes back after it has been told: its
 * way, /proc/self/fd, leads nowhere else.
 */
bool inode_is_stale(struct inode *inode, const struct statx *st, uint32_t pid);

#endif
