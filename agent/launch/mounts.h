/*
 * The mounts of a container, made on its root file system before it becomes the root. Destinations
 * are resolved inside it (in_root.h). Behaviour is runc's where a spec leaves it open.
 */
#ifndef AGENT_MOUNTS_H
#define AGENT_MOUNTS_H

#include <stdbool.h>

#include "proto/oci.pb-c.h"

struct error;

/* ERROR_UNIMPLEMENTED or ERROR_INVALID_ARGUMENT for a mount we would refuse to make. */
int mounts_check(const Grpc__Spec *spec, struct error *err);

struct mounts_place {
	int root;          /* of the container */
	int pid_namespace; /* that the container joins, and that its /proc shows; -1: who calls is in it */
};

/*
 * All of @spec's, in order. /dev stays writable until mounts_finish(), so that devices can be made
 * in it.
 */
int mounts_make(const struct mounts_place *place, const Grpc__Spec *spec, struct error *err);
int mounts_finish(int root, const Grpc__Spec *spec, struct error *err);

/* What is mounted on /dev is the spec's own business: it is bound from elsewhere. */
bool mounts_bind_dev(const Grpc__Spec *spec);

#endif
