/*
 * The namespaces that a container of a pod shares with others of it, as the guest is to see them.
 */
#ifndef SHIM_SHARED_NAMESPACES_H
#define SHIM_SHARED_NAMESPACES_H

#include "proto/oci.pb-c.h"

struct error;
struct pod;

/*
 * Replaces the paths of the namespaces in @spec, a container's of @pod: a namespace of the pod
 * loses its row (network: its path), which in the guest means the pod's. *@pid_of: the container
 * whose pid namespace it joins, owned by the pod; NULL: none. ERROR_UNIMPLEMENTED: a path that
 * means none of the pod's. On failure @spec is good for spec_free() only.
 */
int shared_namespaces_apply(const struct pod *pod, Grpc__Spec *spec, const char **pid_of,
                            struct error *err);

#endif
