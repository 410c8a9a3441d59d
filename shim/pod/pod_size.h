/*
 * How big a pod's machine is to be: the rule of spec/vm_size.h over the containers that the pod has.
 * A container counts from its Create to its Delete, so that one that is made anew, as Kubernetes
 * restarts it, counts once (machine_size.h).
 */
#ifndef SHIM_POD_SIZE_H
#define SHIM_POD_SIZE_H

#include <stdbool.h>

#include "shim/spec/vm_size.h"

struct config;

struct pod_size {
	struct vm_size initial; /* for the guest itself */
	struct vm_size max;
	struct vm_demand sandbox; /* by the annotations of its sandbox */
	struct vm_size start;     /* of the machine, when it starts */
	bool cpus_are_known;      /* at the start: more are wanted only by an update */
	bool is_static;           /* it stays as at the start, which is its maximum, too */
};

/* @spec: that of the container that the pod begins with. */
void pod_size_init(struct pod_size *size, const Grpc__Spec *spec, const struct config *config);

/* What it is to be when the containers demand so much together. */
struct vm_size pod_size_for(const struct pod_size *size, const struct vm_demand *demand);

#endif
