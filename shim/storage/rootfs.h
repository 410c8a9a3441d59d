/*
 * A container's root file system and volumes in the pod's shared directory: mounted at <dir>/rootfs
 * and where volumes.h says, in this process's mount namespace, by a child process, since mount(2)
 * may block for as long as a device or a server likes.
 */
#ifndef SHIM_ROOTFS_H
#define SHIM_ROOTFS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "proto/mount.pb-c.h"

struct ev_loop;
struct root_disks;
struct rootfs;
struct volume_copies;
struct volume_table;
struct volumes;

#define ROOTFS_MOUNTS_MAX 16
#define ROOTFS_NAME       "rootfs" /* in the container's directory */

struct rootfs_config {
	const char *dir; /* <share>/<container id>: made here */
	/* As Create brings them, all mounted at one place in this order: overlay with any number of
	 * layers, bind, or any type the kernel mounts by itself. */
	Containerd__Types__Mount *const *mounts;
	size_t n_mounts;
	/* Those mounts, if they are disks: mounted as host_disks.h has it, or with @in_guest not at
	 * all, since the machine gets them; then nothing is there, read-only. NULL: they are none. */
	const struct root_disks *disks;
	bool in_guest;
	const char *path;        /* bound (recursively) when there are no mounts: bundle_rootfs() */
	struct volumes *volumes; /* it takes them over; NULL: none */
	struct volume_table *volume_table;
	struct volume_copies *volume_copies; /* NULL: none */
	int timeout_ms;
};

/*
 * Starts to mount. @config is used during this call only, whose volumes are its own in any case. On an error of the callback what was
 * mounted has been unmounted and @dir removed; the rootfs still has to be destroyed.
 */
int rootfs_mount(struct ev_loop *loop, const struct rootfs_config *config, done_fn *done, void *ctx,
                 struct rootfs **out, struct error *err);

/* NULL: it has none. */
struct volumes *rootfs_volumes(const struct rootfs *rootfs);

/*
 * Unmounts (detached: who still uses it keeps it) and removes @dir. Legal at any time but while an
 * unmount runs: one that finds a mount still running stops it, and that one's callback never comes.
 */
int rootfs_unmount(struct rootfs *rootfs, int timeout_ms, done_fn *done, void *ctx,
                   struct error *err);

/* NULL is fine. Kills the child that runs and drops the callback; unmounts nothing: what is mounted
 * ends with the mount namespace at the latest. */
void rootfs_destroy(struct rootfs *rootfs);

CLEANUP_DESTROY(rootfs)

#endif
