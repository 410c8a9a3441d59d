/*
 * containerd's Sandbox API (containerd api/runtime/sandbox/v1/sandbox.proto), which the sandboxer
 * "shim" calls: a pod whose containers are tasks, as all others, and whose sandbox is none. The
 * sandbox is the pod's pause container (shim/pod/pod.h); CreateSandbox makes it and begins the boot,
 * StartSandbox waits for the guest. In docs/task-api.md is what each call answers in each state.
 */
#ifndef SHIM_SANDBOX_SERVICE_H
#define SHIM_SANDBOX_SERVICE_H

#include "proto/ttrpc/ttrpc_server.h"

/* The file in the sandbox's bundle that has the path of its network namespace, for `delete`. */
#define SANDBOX_NETNS_FILE "netns"

/* Ended by a zero row. The server's ctx is a struct pod. */
extern const struct ttrpc_method sandbox_methods[];

#endif
