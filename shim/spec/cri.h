/*
 * What a CRI implementation says of a container by annotations: whether it is a pod's sandbox or a
 * container of one, and how big the pod is. One table knows the names, of containerd
 * (pkg/cri/annotations) and of CRI-O (internal/annotations).
 */
#ifndef SHIM_CRI_H
#define SHIM_CRI_H

#include <stdint.h>

#include <stdbool.h>

#include "proto/oci.pb-c.h"

struct error;

enum cri_type {
	CRI_NONE, /* no annotation says so: a container of its own */
	CRI_SANDBOX,
	CRI_CONTAINER,
};

struct cri {
	enum cri_type type;
	const char *sandbox_id; /* the spec's; NULL with CRI_NONE */
	bool options_come_late; /* the runtime's: to Create of the sandbox, not to `start` */
	/* The sum of the containers' limits, in the sandbox's annotations. 0: none, or no number. */
	int64_t cpu_quota;
	int64_t cpu_period;
	int64_t cpu_shares; /* of 1024 for each CPU that is requested */
	int64_t memory;     /* bytes */
};

/* A type that is unknown, or one without the sandbox's id, is an error that names the annotation. */
int cri_read(const Grpc__Spec *spec, struct cri *out, struct error *err);

#endif
