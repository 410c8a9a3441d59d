/*
 * What the pod may use of the host: limits of its cgroup there (host/cgroup_limits.h), as its
 * containers come and go.
 */
#ifndef SHIM_POD_LIMITS_H
#define SHIM_POD_LIMITS_H

#include "proto/oci.pb-c.h"

struct pod;

/*
 * Where all of the pod's containers are limited. In memory: to what the machine has, and
 * POD_LIMITS_OVERHEAD_MIB for the VMM and the helpers. In CPUs: to the containers' sum and what the
 * guest itself has. So a limit in the guest acts first. What fails is a warning.
 */
void pod_limits_apply(struct pod *pod);

/* 1 GiB for what QEMU's TCG has translated, as much for QEMU, the helpers and the host's page cache. */
#define POD_LIMITS_OVERHEAD_MIB 2048

/* Shares and cpuset, of the only container of a pod; NULL is fine. */
void pod_limits_share(const struct pod *pod, const Grpc__LinuxResources *resources);

/* Where the configuration says so, vCPUs are bound to the CPUs that the containers name (vm_pin()). */
void pod_limits_pin_vcpus(const struct pod *pod);

/* New vCPUs go where those are that were there. */
void pod_limits_place_vcpus(const struct pod *pod);

#endif
