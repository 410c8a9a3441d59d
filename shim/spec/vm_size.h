/*
 * How big a pod's VM is, from what its configuration asks for. The rule is upstream's for VMs that
 * do not grow: the defaults are for the guest itself, the limits of the workload come on top.
 *
 *   vCPUs     the default + quota / period, rounded up; at most @max
 *   memory    the default + limit, rounded up to VM_SIZE_STEP_MIB; at most @max
 *
 * where a limit that is absent or negative ("unlimited") counts 0, and so does one of memory that
 * is at least @max. The sandbox of a Kubernetes pod has the sum of its containers' limits in
 * annotations instead (io.kubernetes.cri.sandbox-cpu-quota, -cpu-period, -memory).
 */
#ifndef SHIM_VM_SIZE_H
#define SHIM_VM_SIZE_H

#include <stdint.h>

#include "proto/oci.pb-c.h"

#define VM_SIZE_STEP_MIB 128 /* the guest's memory blocks */

struct vm_size {
	unsigned int vcpus;
	uint64_t memory_mib;
};

/* What the host has: the processors that are online, and all of its memory. */
struct vm_size vm_size_of_host(void);

/* A pure function of its arguments. */
struct vm_size vm_size_for(const Grpc__Spec *spec, const struct vm_size *initial,
                           const struct vm_size *max);

#endif
