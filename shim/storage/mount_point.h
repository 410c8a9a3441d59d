/*
 * Files of a container's root file system that others are to be mounted on, made by the host where
 * they are missing. The guest's agent makes them, too: but each takes it three requests of the file
 * server, and the host a few microseconds.
 */
#ifndef SHIM_MOUNT_POINT_H
#define SHIM_MOUNT_POINT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/oci.pb-c.h"

/* Whether mount @number of @spec is mounted on a file of the root file system itself, as far as paths
 * tell: no other mount is above it. */
bool mount_point_is_of_root(const Grpc__Spec *spec, size_t number);

/*
 * Makes @path below @root (O_PATH) an empty file, if its directory is there and no link leads to it.
 * What cannot be made is left to the guest, which says why. For a child process: it may block.
 */
void mount_point_make(int root, const char *path);

#endif
