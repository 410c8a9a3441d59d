/*
 * Kernel settings of a container (linux.sysctl): those that belong to namespaces of its own, and
 * the network's, which is the VM's.
 */
#ifndef AGENT_SYSCTL_H
#define AGENT_SYSCTL_H

#include "proto/oci.pb-c.h"

struct error;

/* ERROR_INVALID_ARGUMENT for one that would change more than the container. */
int sysctl_check(const Grpc__Spec *spec, struct error *err);

/* The same of one of the pod's, whose namespaces are the guest's own. */
int sysctl_check_pod(const char *key, struct error *err);

/* Writes one that has been checked, below @dir: "/proc/sys". */
int sysctl_write(const char *dir, const char *key, const char *value, struct error *err);

/* What sysctl_apply() writes, below /proc/sys; NULL: @key could lead elsewhere. free() it. */
char *sysctl_path(const char *key);

/* Writes them by the /proc of the guest, as the namespaces of the calling process see them. */
int sysctl_apply(const Grpc__Spec *spec, struct error *err);

#endif
