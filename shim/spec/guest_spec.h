/*
 * What the guest sees of a container's spec: host paths and host namespaces replaced, what only the
 * host could serve refused by name.
 */
#ifndef SHIM_GUEST_SPEC_H
#define SHIM_GUEST_SPEC_H

#include <sched.h>
#include <stdbool.h>

#include "proto/oci.pb-c.h"

struct error;

/* The path of the network namespace that the spec names; NULL: it names none. It is the spec's. */
const char *guest_spec_netns(const Grpc__Spec *spec);

/*
 * Changes @spec for the guest's container @id:
 *
 *   root.path          <GUEST_SHARE>/<id>/rootfs
 *   linux.namespaces   the network namespace is taken out: it is the VM. Its path, or NULL when it
 *                      has none, goes to *netns (free() it; netns may be NULL). A cgroup
 *                      namespace is added
 *   linux.cgroupsPath  /<id>: the guest has no other cgroups
 *   linux.resources    cpu.cpus and cpu.mems are checked, and left to guest_spec_drop_cpuset()
 *   linux.intelRdt     taken out when it is empty
 *   linux.devices      guest_devices_apply()
 *   annotations        taken out
 *
 * Refused (ERROR_UNIMPLEMENTED), by name: bind mounts of the host that volumes_take() has not taken
 * over before, file systems that only the host has ("mounts[3] /etc/resolv.conf: …"), the host's
 * network (no network namespace), joining other namespaces by path, devices that the guest has not of
 * its own, hooks.createContainer. On failure @spec is good for spec_free() only.
 */
int guest_spec_apply(Grpc__Spec *spec, const char *id, char **netns, struct error *err);

/*
 * What guest_spec_apply() has made, as upstream's agent reads it. A row of ipc or uts means the pod's
 * namespace, and no row the guest's own; it adds a row of pid itself. Returns whether that is to be
 * the pod's (CreateContainerRequest.sandbox_pidns).
 */
bool guest_spec_for_upstream(Grpc__Spec *spec);

/* Takes cpu.cpus and cpu.mems out: their numbers are the host's. NULL is fine. */
void guest_spec_drop_cpuset(Grpc__LinuxResources *resources);
/* Refuses those of them that are no lists. NULL is fine. */
int guest_spec_check_cpuset(const Grpc__LinuxResources *resources, struct error *err);
/* cpu.cpus of resources that have been checked; empty: not said. */
cpu_set_t guest_spec_cpuset(const Grpc__LinuxResources *resources);

/* As runc sees it: by the type or by an option. */
bool guest_spec_is_bind(const Grpc__Mount *mount);

#endif
