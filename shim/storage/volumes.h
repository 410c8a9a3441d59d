/*
 * The host's files and directories that a container's spec binds ("volumes"): each is shared with
 * the guest by a mount of its own at <share>/<VOLUMES_DIR>/<n>, which all containers of the pod that
 * bind the same share (volume_table.h). The guest can reach nothing beside or above them, and what
 * is read-only for all of them is so on the host.
 *
 * Taken from the spec first; then volumes_begin(), volumes_mount() in a child, volumes_mounted(),
 * volumes_take_unused(), volumes_name(); in the end volumes_leave(), volumes_unmount() in a child.
 */
#ifndef SHIM_VOLUMES_H
#define SHIM_VOLUMES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"
#include "proto/oci.pb-c.h"

struct buf;
struct error;
struct volume_copies;
struct volume_table;
struct volumes;

#define VOLUMES_MAX 1024

/*
 * Takes the bind mounts of @spec over: the source of each becomes one below GUEST_VOLUMES, which
 * volumes_name() completes, but that of the pod's /dev/shm (@shm, NULL: it has none) becomes
 * GUEST_SHM and is not shared; options stay, for the guest. A relative source is one of the bundle
 * (config.md, "Mounts"). ERROR_UNIMPLEMENTED: a mount that is to be shared back to the host
 * ("mounts[3] /data: …"). On failure @spec is good for spec_free() only.
 */
int volumes_take(Grpc__Spec *spec, const char *bundle_dir, const char *shm, struct volumes **out,
                 struct error *err);
/* NULL is fine. Others of the pod may use its places then; unmounts nothing. */
void volumes_destroy(struct volumes *volumes);

/* @table and @copies (NULL: there are none) are the pod's, and outlive the volumes. */
void volumes_begin(struct volumes *volumes, struct volume_table *table,
                   struct volume_copies *copies);

/*
 * Mounts them in the share @share (O_PATH), makes the files of the root file system @root (O_PATH; -1: the host has none) that
 * they go on (mount_point.h), and fills @result for volumes_mounted(). For a child process: it may
 * block. ERROR_UNIMPLEMENTED: a source that is neither a file nor a directory, nor a device of the
 * guest's.
 */
int volumes_mount(struct volumes *volumes, int share, int root, struct buf *result,
                  struct error *err);

/* The child has mounted all of them. */
void volumes_mounted(struct volumes *volumes, const struct buf *result);

/* Notes what others have left while the child was at work, for volumes_unmount(); false: nothing. */
bool volumes_take_unused(struct volumes *volumes);

/*
 * Once, then: completes the sources in the spec that they were taken from. @features (enum feature)
 * are the agent's, without those that a container that is alone in its machine has no need of. Those that containers can meet in
 * are storages of the guest (driver "bind"), which its agent mounts once for all of them: each
 * container that looked at the share itself would see a file system of its own. A volume in memory
 * is one of driver "ephemeral", in the guest's memory: nothing of it is on the host. A device is one of
 * driver "device", or without that feature of the agent's the one in the guest's /dev.
 */
void volumes_name(struct volumes *volumes, unsigned int features, Grpc__Spec *spec);

/* These storages, for CreateContainer: theirs. */
size_t volumes_storages(const struct volumes *volumes, Grpc__Storage ***out);

/* The container uses them no more, or its child has failed, and has ended: what now has to be
 * unmounted is noted. */
void volumes_leave(struct volumes *volumes);

/* Unmounts that (detached), in the share @share; nothing there is fine. For a child process, whose
 * working directory it changes. */
int volumes_unmount(const struct volumes *volumes, int share, struct error *err);

CLEANUP_DESTROY(volumes)

#endif
