/*
 * What a pod is besides its machine, for CreateSandbox: the share, the pod's /dev/shm, and the kernel
 * settings of its namespaces (linux.sysctl of a sandbox's spec), which no container has in its own.
 */
#ifndef SHIM_POD_SETTINGS_H
#define SHIM_POD_SETTINGS_H

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"
#include "proto/oci.pb-c.h"

struct pod_settings;
struct shared_paths;

/* @paths: of its /dev/shm, which is at GUEST_SHM in the guest. @sandbox: the spec of a pod's sandbox,
 * of which copies are kept; NULL: the pod is that of a single container. */
struct pod_settings *pod_settings_create(const struct shared_paths *paths,
                                         const Grpc__Spec *sandbox);
void pod_settings_destroy(struct pod_settings *settings); /* NULL is fine */

/* Lends them to @request: it is valid as long as they are. */
void pod_settings_put(struct pod_settings *settings, Grpc__CreateSandboxRequest *request);

CLEANUP_DESTROY(pod_settings)

#endif
