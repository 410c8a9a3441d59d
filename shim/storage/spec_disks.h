/*
 * What of a container's spec is on disks of its machine: its block devices (linux.devices of type b).
 * Taken from the spec first; each source is plugged (disk_source.h); then the guest's agent is told
 * where they are, by upstream's Device messages.
 */
#ifndef SHIM_SPEC_DISKS_H
#define SHIM_SPEC_DISKS_H

#include <stddef.h>

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"

struct disk_source;
struct spec_disks;

/* Reads @spec, which is not changed. A device to which no rule of the spec lets the container write
 * becomes a disk that is read-only. NULL: there are none. */
struct spec_disks *spec_disks_take(const Grpc__Spec *spec);
void spec_disks_destroy(struct spec_disks *disks); /* NULL is fine */

size_t spec_disks_count(const struct spec_disks *disks);
const struct disk_source *spec_disks_source(const struct spec_disks *disks, size_t number);

/* Where the guest finds the one with this number: copied. */
void spec_disks_place(struct spec_disks *disks, size_t number, const char *path);
/* Then, for CreateContainer: the messages are those of @disks. */
size_t spec_disks_devices(struct spec_disks *disks, Grpc__Device ***out);

CLEANUP_DESTROY(spec_disks)

#endif
