/*
 * What of a container's spec is on disks of its machine: block devices (linux.devices of type b, and
 * binds of one below /dev), and file systems on a block device or in a file. Taken from the spec
 * first; each source is plugged (disk_source.h); then the guest's agent is told where they are, by
 * upstream's messages: a Device, and a Storage of driver "blk".
 */
#ifndef SHIM_SPEC_DISKS_H
#define SHIM_SPEC_DISKS_H

#include <stddef.h>

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"

struct disk_source;
struct error;
struct spec_disks;

/*
 * Takes them from the spec of the container @id, which outlives spec_disks_bind(). A bind of a block
 * device becomes a row of linux.devices; a file system stays in place until spec_disks_bind(). What
 * the container may not write, by the rules of the spec or by the option "ro", becomes a disk that is
 * read-only. A bind of a direct-assigned volume, whose record is below @records (direct_volume.h), is
 * the file system on its device. *@out is NULL where there are none. On failure @spec is good for
 * spec_free() only.
 */
int spec_disks_take(Grpc__Spec *spec, const char *id, const char *records, struct spec_disks **out,
                    struct error *err);
void spec_disks_destroy(struct spec_disks *disks); /* NULL is fine */

/* When the binds of the host have been taken (volumes_take()): each file system becomes a bind of
 * where the guest mounts it. NULL is fine. */
void spec_disks_bind(struct spec_disks *disks);

size_t spec_disks_count(const struct spec_disks *disks);
const struct disk_source *spec_disks_source(const struct spec_disks *disks, size_t number);

/* Where the guest finds the one with this number: copied. */
void spec_disks_place(struct spec_disks *disks, size_t number, const char *path);
/* Then, for CreateContainer: adds the messages, which are those of @disks, to @request. The array of
 * its storages, which is made anew, is that of @disks, too. */
void spec_disks_put(struct spec_disks *disks, Grpc__CreateContainerRequest *request);

CLEANUP_DESTROY(spec_disks)

#endif
