/*
 * What a CRI client wants of a pod that is a sandbox of containerd's Sandbox API: CreateSandbox
 * brings it as a runtime.v1.PodSandboxConfig. Here it becomes the spec that the pod's pause
 * container would have, which containerd makes for other sandboxers, so that both are served alike.
 */
#ifndef SHIM_POD_CONFIG_H
#define SHIM_POD_CONFIG_H

#include "common/cleanup.h"
#include "proto/google.pb-c.h"
#include "proto/oci.pb-c.h"

struct error;
struct pod_config;

#define POD_CONFIG_TYPE "runtime.v1.PodSandboxConfig"

/* @any: NULL or empty means one in which nothing is set. ERROR_INVALID_ARGUMENT: of another type, or
 * broken. ERROR_UNIMPLEMENTED: it asks for a user namespace. */
int pod_config_read(const Google__Protobuf__Any *any, struct pod_config **out, struct error *err);
void pod_config_destroy(struct pod_config *config); /* NULL is fine */

/* The spec of pause container @id in the network namespace @netns (empty: the host's is meant, and
 * none is named). The caller's, for spec_free(). */
Grpc__Spec *pod_config_spec(const struct pod_config *config, const char *id, const char *netns);

/* The text of the pod's resolv.conf, to be freed; NULL: the host's. */
char *pod_config_resolv_conf(const struct pod_config *config);

CLEANUP_DESTROY(pod_config)

#endif
