/*
 * What the guest is told of a root file system that is on disks (root_disks.h): storages, by
 * upstream's drivers. Each disk is one of driver "blk"; the root is the only one, or one of driver
 * "overlayfs" of them all. Layers of an image, which nobody writes to, are mounted once for all
 * containers of a pod.
 */
#ifndef SHIM_GUEST_ROOT_H
#define SHIM_GUEST_ROOT_H

#include <stddef.h>

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"

struct error;
struct guest_root;
struct root_disks;

/* @paths[i] is where the guest finds the disk i of @disks (vm_device_path()); @id is the container's.
 * ERROR_INVALID_ARGUMENT: as root_disks_overlay() has it. */
int guest_root_create(const struct root_disks *disks, const char *const *paths, const char *id,
                      struct guest_root **out, struct error *err);
void guest_root_destroy(struct guest_root *root); /* NULL is fine */

/* Where the container's root file system is, for its spec. */
const char *guest_root_path(const struct guest_root *root);
/* For CreateContainer, in the order in which they are to be mounted: the root's. */
size_t guest_root_storages(const struct guest_root *root, Grpc__Storage ***out);

CLEANUP_DESTROY(guest_root)

#endif
