/*
 * The host's files and directories that a container's spec binds ("volumes"): each is shared with
 * the guest by one mount of its own at <share>/<id>/mounts/<n>, n being the mount's number in the
 * spec. The guest can reach nothing beside or above them, and what is read-only for the container
 * is so on the host.
 */
#ifndef SHIM_VOLUMES_H
#define SHIM_VOLUMES_H

#include "common/cleanup.h"
#include "proto/oci.pb-c.h"

struct error;
struct volumes;

#define VOLUMES_MAX 1024

/*
 * Takes the bind mounts of @spec over: the source of each becomes <GUEST_SHARE>/<id>/mounts/<n>,
 * but that of the pod's /dev/shm (@shm, NULL: it has none) becomes GUEST_SHM and is not shared;
 * options stay, for the guest. A relative source is one of the bundle (config.md, "Mounts").
 * *@out is NULL when there are none. ERROR_UNIMPLEMENTED: a mount that is to be shared back to the
 * host ("mounts[3] /data: …"). On failure @spec is good for spec_free() only.
 */
int volumes_take(Grpc__Spec *spec, const char *id, const char *bundle_dir, const char *shm,
                 struct volumes **out, struct error *err);
void volumes_destroy(struct volumes *volumes); /* NULL is fine; unmounts nothing */

/* Mounts them in the container's directory @dirfd. For a child process: it may block.
 * ERROR_UNIMPLEMENTED: a source that is neither file nor directory. */
int volumes_mount(const struct volumes *volumes, int dirfd, struct error *err);

/* Unmounts (detached) all that is mounted in @dirfd's mounts directory; nothing there is fine. For
 * a child process, whose working directory it changes. */
int volumes_unmount(int dirfd, struct error *err);

CLEANUP_DESTROY(volumes)

#endif
