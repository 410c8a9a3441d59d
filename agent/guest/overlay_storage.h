/*
 * The storage driver "overlayfs" (storage_driver.h): an overlay of what other storages have mounted.
 */
#ifndef AGENT_OVERLAY_STORAGE_H
#define AGENT_OVERLAY_STORAGE_H

#include "proto/agent.pb-c.h"

struct error;

/* Upstream's: "<this>=<directory>" is made before the overlay, with those above it. */
#define OVERLAY_STORAGE_DIRECTORY "io.katacontainers.volume.overlayfs.create_directory"

#define OVERLAY_STORAGE_TIMEOUT_MS 10000

/* ERROR_UNIMPLEMENTED: another option of the driver. */
int overlay_storage_check(const Grpc__Storage *storage, struct error *err);

/* A storage_make_fn, which makes a mount namespace of its own: for a child process. */
int overlay_storage_make(const Grpc__Storage *storage, struct error *err);

#endif
