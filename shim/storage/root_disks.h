/*
 * A root file system that comes as disks: Create's mounts, where they are file systems in image
 * files or on block devices of the host. Each becomes a disk of the machine, which the host does not
 * mount: the guest does, and then an overlay of all, if the last mount is one. (host_disks.h: the
 * host mounts them all the same.)
 *
 * The words are those of containerd's snapshotters (blockfile, devmapper: one ext4 or xfs; erofs:
 * layers, an image to write to, an overlay) and of its mount manager, whose templates are left to
 * the runtime that says so (containerd's docs/mounts.md, shim/cli/info.c): "{{ mount 0 }}" is where
 * the first mount is, "{{ overlay 1 3 }}" a list of those from 1 to 3.
 */
#ifndef SHIM_ROOT_DISKS_H
#define SHIM_ROOT_DISKS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"
#include "proto/mount.pb-c.h"

struct error;
struct root_disks;

/* What containerd leaves to this runtime, by the words of containerd.io/runtime-allow-mounts. */
#define ROOT_DISKS_MOUNTS "format/*,mkdir/*,erofs,ext4"

/* Of one root file system: each takes a root port of the machine, of which it has eight. More of
 * them, as an image of many layers has, are mounted by the host. */
#define ROOT_DISKS_IN_GUEST 4

struct root_disk {
	char *path; /* of the host: an image file or a block device */
	char *fstype;
	bool read_only;
	char **options; /* of the guest's mount */
	size_t n_options;
};

/* @out is NULL if the first is none. ERROR_UNIMPLEMENTED: disks, but not to be put together
 * ("rootfs[1]: …"). */
int root_disks_parse(Containerd__Types__Mount *const *mounts, size_t n, struct root_disks **out,
                     struct error *err);
void root_disks_destroy(struct root_disks *disks); /* NULL is fine */

size_t root_disks_count(const struct root_disks *disks); /* at least 1 */
const struct root_disk *root_disks_get(const struct root_disks *disks, size_t i);
/* The disks themselves are not the root file system: an overlay of them is. */
bool root_disks_is_overlay(const struct root_disks *disks);

/* What is written goes into a directory of the host (the overlay's upperdir), not into a disk: the
 * guest has no such directory, so the host is to mount them. */
bool root_disks_write_to_host(const struct root_disks *disks);

/*
 * The overlay as a storage of the guest, mounted on @root: @places[i] is where it mounts the disk
 * i. The caller frees it (grpc__storage__free_unpacked()). ERROR_INVALID_ARGUMENT: a template names
 * a mount that there is not.
 */
int root_disks_overlay(const struct root_disks *disks, const char *const *places, const char *root,
                       Grpc__Storage **out, struct error *err);

CLEANUP_DESTROY(root_disks)

#endif
