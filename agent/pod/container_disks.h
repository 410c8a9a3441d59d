/*
 * The disks that a CreateContainer names: storages of driver "blk" and Device messages of type "blk".
 * All of them are waited for; then the rows of the spec that a Device is for get the numbers of the
 * guest: the row of linux.devices with its path, and the device rules of the cgroup.
 */
#ifndef AGENT_CONTAINER_DISKS_H
#define AGENT_CONTAINER_DISKS_H

#include "agent/guest/disk_wait.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "proto/agent.pb-c.h"

struct container_disks;

/*
 * @spec is that of @request, or NULL; it outlives the disks, while @request may go at once.
 * ERROR_UNIMPLEMENTED: a device of another type; ERROR_INVALID_ARGUMENT: the spec has no row for
 * one.
 */
int container_disks_create(const struct disk_wait_config *config,
                           const Grpc__CreateContainerRequest *request, Grpc__Spec *spec,
                           struct container_disks **out, struct error *err);
void container_disks_destroy(struct container_disks *disks); /* NULL is fine; no callback */

/* As disk_wait_start(). The spec has been changed when @done is called without an error. */
void container_disks_await(struct container_disks *disks, done_fn *done, void *ctx);
void container_disks_cancel(struct container_disks *disks); /* drops the callback */

CLEANUP_DESTROY(container_disks)

#endif
