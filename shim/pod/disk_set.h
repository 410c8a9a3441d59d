/*
 * The disks of one owner, a container: opened on the host, one after the other, and plugged into the
 * machine (disks.h).
 */
#ifndef SHIM_DISK_SET_H
#define SHIM_DISK_SET_H

#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"

struct disk_set;
struct disk_source;
struct disks;
struct ev_loop;

#define DISK_SET_MAX 64 /* disks of a container */

struct disk_set *disk_set_create(struct ev_loop *loop, int open_timeout_ms);
/* NULL is fine. Drops callbacks, and leaves the disks without waiting (disk_use_forget()). */
void disk_set_destroy(struct disk_set *set);

/* One more disk; @source is copied. Returns its number, from 0 on; ERROR_RESOURCE_EXHAUSTED: they
 * are DISK_SET_MAX. Before disk_set_plug() only. */
int disk_set_add(struct disk_set *set, const struct disk_source *source, struct error *err);
size_t disk_set_size(const struct disk_set *set);

/* Plugs all of them into @disks, which outlives the set. @done comes once, maybe before this
 * returns; with an error the set has none of them. */
void disk_set_plug(struct disk_set *set, struct disks *disks, done_fn *done, void *ctx);

/* Then: where the guest finds the disk with this number. */
const char *disk_set_path(const struct disk_set *set, size_t number);

/* Leaves all of them. @done comes once, maybe before this returns: with the last reason for which
 * the machine keeps one. */
void disk_set_unplug(struct disk_set *set, done_fn *done, void *ctx);

CLEANUP_DESTROY(disk_set)

#endif
