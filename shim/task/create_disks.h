/*
 * The disks of a container that is being created: those of its spec, then those that its root file
 * system is on, and what the guest is told of them.
 */
#ifndef SHIM_CREATE_DISKS_H
#define SHIM_CREATE_DISKS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"
#include "proto/mount.pb-c.h"

struct create_disks;
struct disk_set;
struct error;
struct root_disks;

/*
 * Of @spec, as spec_disks_take() has it, and of Create's mounts. A root file system of more
 * than @room disks is mounted by the host. ERROR_UNIMPLEMENTED: as root_disks_parse() has it.
 */
int create_disks_take(Grpc__Spec *spec, const char *id, Containerd__Types__Mount *const *rootfs,
                      size_t n, size_t room, struct create_disks **out, struct error *err);
/* As spec_disks_bind(). */
void create_disks_bind(struct create_disks *disks);
void create_disks_destroy(struct create_disks *disks); /* NULL is fine */

/* What the root file system is on; NULL: it is no disks. */
const struct root_disks *create_disks_root(const struct create_disks *disks);
/* They are the machine's, and not mounted by the host. */
bool create_disks_has_guest_root(const struct create_disks *disks);

bool create_disks_any(const struct create_disks *disks); /* the machine is to get some */
/* Adds all that the machine is to get to @set. */
int create_disks_list(const struct create_disks *disks, struct disk_set *set, struct error *err);

/*
 * Tells them to the guest: @set has been plugged. @request has its storages already; the root's come
 * before them. @spec gets another root path. What @request gets is of @disks.
 */
int create_disks_name(struct create_disks *disks, const struct disk_set *set, const char *id,
                      Grpc__Spec *spec, Grpc__CreateContainerRequest *request, struct error *err);

CLEANUP_DESTROY(create_disks)

#endif
