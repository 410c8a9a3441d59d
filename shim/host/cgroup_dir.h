/*
 * A cgroup of the host as a directory: made with the parents that it lacks, and removed with those.
 * A parent that was made here has a mark, an extended attribute: it goes with the last cgroup in it,
 * whoever's that is. One that was there before, as a kubelet's, stays.
 */
#ifndef SHIM_CGROUP_DIR_H
#define SHIM_CGROUP_DIR_H

#include <stdint.h>

struct cgroup_mount;
struct error;

/* @path below @mount; what is there already is fine. Its controllers can be used: those of v2 are
 * enabled above it, and a cpuset of v1 has its parent's processors and memory. */
int cgroup_dir_make(const struct cgroup_mount *mount, const char *path, struct error *err);

/*
 * Removes the cgroup @dir with all below it, then the parents that were made here and are empty.
 * Processes that are ending are waited for, @wait_ms at most; those that are left are moved to the
 * cgroup @home. Nothing there is fine. Blocks.
 */
int cgroup_dir_remove(const char *dir, const char *home, int wait_ms, struct error *err);

/* A process of one thread, which is the caller. */
int cgroup_dir_enter(const char *dir, struct error *err);

/* Of the files in @dir. */
int cgroup_dir_write(const char *dir, const char *name, const char *value, struct error *err);
/* The first number of a file, or the one after the line's word @key (NULL: none): -ENOENT when there
 * is none; "max" is UINT64_MAX. */
int cgroup_dir_read(const char *dir, const char *name, const char *key, uint64_t *out);

#endif
