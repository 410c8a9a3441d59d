/*
 * How big a pod's VM is, from what its containers are limited to. The rule is upstream's: the
 * defaults are for the guest itself, the limits of the workload come on top.
 *
 *   vCPUs     the default + the sum of quota / period, rounded up; at most @max
 *   memory    the default + the sum of the limits, of memory and of huge pages, which are beside it,
 *             rounded up to VM_SIZE_STEP_MIB; at most @max
 *
 * where a limit that is absent or negative ("unlimited") counts 0, and so does one of memory that
 * is at least @max. A pod of Kubernetes may have the sum of its containers' limits in annotations
 * of its sandbox (spec/cri.h): what it needs is the more of the two, for each of the two resources.
 */
#ifndef SHIM_VM_SIZE_H
#define SHIM_VM_SIZE_H

#include <stdint.h>

#include "proto/oci.pb-c.h"

struct error;

#define VM_SIZE_STEP_MIB 128 /* the guest's memory blocks */

struct vm_size {
	unsigned int vcpus;
	uint64_t memory_mib;
};

/* What a container, or a pod, is limited to, as the runtime-spec has it. 0: not said; less: not
 * limited. */
struct vm_limits {
	int64_t quota; /* microseconds in each period */
	int64_t period;
	int64_t memory;     /* bytes */
	int64_t huge_pages; /* bytes, of all sizes */
};

/* What is needed beside the default. A sum stays at its type's maximum. */
struct vm_demand {
	uint64_t micro_cpus;
	uint64_t memory_mib;
};

/* What the host has: the processors that are online, and all of its memory. */
struct vm_size vm_size_of_host(void);

/* All below are pure functions of their arguments. */

struct vm_limits vm_limits_of(const Grpc__LinuxResources *resources); /* NULL is fine */
/* What @limits are after an update to @to, of which what is not said stays. */
struct vm_limits vm_limits_update(const struct vm_limits *limits, const struct vm_limits *to);
/* A container that is the pod is limited by its resources, a pod's sandbox by its annotations; CPUs
 * without a limit are those that it requests (shares). */
struct vm_limits vm_limits_of_spec(const Grpc__Spec *spec);

/* Refuses a limit that is raised, or made, beyond @max: with both numbers. */
int vm_limits_check_raise(const struct vm_limits *from, const struct vm_limits *to,
                          const struct vm_size *max, struct error *err);

struct vm_demand vm_demand_of(const struct vm_limits *limits, const struct vm_size *max);
void vm_demand_add(struct vm_demand *demand, const struct vm_demand *more);
void vm_demand_raise(struct vm_demand *demand, const struct vm_demand *to);

struct vm_size vm_size_for(const struct vm_demand *demand, const struct vm_size *initial,
                           const struct vm_size *max);

#endif
