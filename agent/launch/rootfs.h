/*
 * A container's root file system, from a mount of the guest to the root of the calling process, in
 * its own mount namespace.
 */
#ifndef AGENT_ROOTFS_H
#define AGENT_ROOTFS_H

#include "proto/oci.pb-c.h"

struct error;

/* ERROR_INVALID_ARGUMENT for an unknown linux.rootfsPropagation. */
int rootfs_check(const Grpc__Spec *spec, struct error *err);

/*
 * Cuts the namespace off from the guest's, and makes @path a mount of its own. Returns an O_PATH
 * descriptor of it.
 */
int rootfs_open(const char *path, struct error *err);

/* pivot_root(2) into it; nothing of the guest's tree stays reachable. Working directory: "/". */
int rootfs_enter(int root, struct error *err);

/* The root gets linux.rootfsPropagation, private when it says none. After rootfs_enter(). */
int rootfs_propagate(const Grpc__Spec *spec, struct error *err);

/* The root becomes read-only. After rootfs_enter(). */
int rootfs_protect(struct error *err);

#endif
