#include "hypervisor/fs/inode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/fs/closer.h"

#define BUCKETS_FIRST 256
#define STAT_MASK     (STATX_BASIC_STATS | STATX_MNT_ID)

static struct inode_bucket *make_buckets(uint32_t count)
{
	struct inode_bucket *buckets = mem_alloc(count * sizeof(*buckets));

	for (uint32_t i = 0; i < count; i++)
		LIST_INIT(&buckets[i]);
	return buckets;
}

void inode_table_init(struct inode_table *table, struct closer *closer)
{
	*table = (struct inode_table){
		.closer = closer,
		.buckets = make_buckets(BUCKETS_FIRST),
		.bucket_count = BUCKETS_FIRST,
	};
}

static void inode_free(struct inode *inode)
{
	close(inode->fd);
	free(inode);
}

void inode_table_fini(struct inode_table *table)
{
	for (uint32_t i = 0; i < table->bucket_count; i++) {
		struct inode *inode;

		while ((inode = LIST_FIRST(&table->buckets[i]))) {
			LIST_REMOVE(inode, in_bucket);
			inode_free(inode);
		}
	}
	free(table->buckets);
	id_table_fini(&table->ids);
	*table = (struct inode_table){ 0 };
}

struct inode *inode_table_find(const struct inode_table *table, uint64_t id)
{
	return id_table_find(&table->ids, id);
}

uint64_t inode_dev(const struct statx *st)
{
	return makedev(st->stx_dev_major, st->stx_dev_minor);
}

static struct inode_bucket *bucket_of(const struct inode_table *table, uint64_t ino, uint64_t dev)
{
	uint64_t hash = (ino ^ dev << 40) * 0x9e3779b97f4a7c15ULL;

	return &table->buckets[(hash >> 32) & (table->bucket_count - 1)];
}

struct inode *inode_table_known(const struct inode_table *table, const struct statx *st)
{
	uint64_t dev = inode_dev(st);
	struct inode *inode;

	for (inode = LIST_FIRST(bucket_of(table, st->stx_ino, dev)); inode;
	     inode = LIST_NEXT(inode, in_bucket))
		if (inode->ino == st->stx_ino && inode->dev == dev &&
		    inode->mount == st->stx_mnt_id && inode->type == (st->stx_mode & S_IFMT))
			return inode;
	return NULL;
}

static void grow(struct inode_table *table)
{
	struct inode_table larger = {
		.bucket_count = 2 * table->bucket_count,
		.buckets = make_buckets(2 * table->bucket_count),
	};

	for (uint32_t i = 0; i < table->bucket_count; i++) {
		struct inode *inode;

		while ((inode = LIST_FIRST(&table->buckets[i]))) {
			LIST_REMOVE(inode, in_bucket);
			LIST_INSERT_HEAD(bucket_of(&larger, inode->ino, inode->dev), inode,
			                 in_bucket);
		}
	}
	free(table->buckets);
	table->buckets = larger.buckets;
	table->bucket_count = larger.bucket_count;
}

struct inode *inode_table_add(struct inode_table *table, int fd, const struct statx *st)
{
	struct inode *inode = inode_table_known(table, st);

	if (inode) {
		close(fd);
		inode->lookups++;
		return inode;
	}
	inode = mem_new(struct inode);
	*inode = (struct inode){
		.fd = fd,
		.dev = inode_dev(st),
		.ino = st->stx_ino,
		.mount = st->stx_mnt_id,
		.type = st->stx_mode & S_IFMT,
		.lookups = 1,
	};
	inode->id = id_table_add(&table->ids, inode);
	if (!inode->id) {
		inode_free(inode);
		return NULL;
	}
	if (++table->count > table->bucket_count)
		grow(table);
	LIST_INSERT_HEAD(bucket_of(table, inode->ino, inode->dev), inode, in_bucket);
	return inode;
}

static void drop_unused(struct inode_table *table, struct inode *inode)
{
	if (inode->lookups || inode->opens)
		return;
	id_table_remove(&table->ids, inode->id);
	LIST_REMOVE(inode, in_bucket);
	table->count--;
	closer_add(table->closer, inode->fd);
	free(inode);
}

void inode_forget(struct inode_table *table, struct inode *inode, uint64_t lookups)
{
	inode->lookups -= lookups < inode->lookups ? lookups : inode->lookups;
	drop_unused(table, inode);
}

void inode_hold(struct inode *inode)
{
	inode->opens++;
}

void inode_release(struct inode_table *table, struct inode *inode)
{
	inode->opens--;
	drop_unused(table, inode);
}

bool inode_note_version(struct inode *inode, const struct statx *st)
{
	const struct inode_version version = { st->stx_mtime, st->stx_ctime, st->stx_size };
	const struct inode_version *old = &inode->version;
	bool same = inode->cached && old->size == version.size &&
	            old->mtime.tv_sec == version.mtime.tv_sec &&
	            old->mtime.tv_nsec == version.mtime.tv_nsec &&
	            old->ctime.tv_sec == version.ctime.tv_sec &&
	            old->ctime.tv_nsec == version.ctime.tv_nsec;

	inode->cached = true;
	inode->version = version;
	return same;
}

int inode_stat_fd(int fd, struct statx *out)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STAT_MASK, out) < 0 ? -errno : 0;
}

int inode_stat_name(const struct inode *dir, const char *name, struct statx *out)
{
	return statx(dir->fd, name, AT_SYMLINK_NOFOLLOW, STAT_MASK, out) < 0 ? -errno : 0;
}

bool inode_is_stale(struct inode *inode, const struct statx *st, uint32_t pid)
{
	if (st->stx_nlink || inode->removed_by_guest ||
	    (st->stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return false;
	if (pid && inode->told_stale == pid)
		return false;
	inode->told_stale = pid;
	return true;
}
