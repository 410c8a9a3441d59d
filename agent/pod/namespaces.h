/*
 * The namespaces that containers of the pod share. Today that is the pid namespace: a container whose
 * spec names none is in the pod's, never in the agent's own, whose limits and priority it could
 * change. The pod's is held by a pause process (agent/launch/pause.h), which is made when the first
 * such container comes. If the pause process dies, the kernel kills all that is in the namespace
 * with it; the next container gets a new one.
 *
 * Those to come have an owner each, and are made in this order: user, then net, ipc, uts and pid,
 * which belong to the user namespace that they were made in.
 */
#ifndef AGENT_POD_NAMESPACES_H
#define AGENT_POD_NAMESPACES_H

#include <sys/types.h>

#include "common/cleanup.h"
#include "proto/oci.pb-c.h"

struct error;
struct ev_loop;
struct pod_namespaces;

#define POD_NAMESPACES_TIMEOUT_MS 5000 /* for the pause process to be ready, which is waited for */

/* Makes nothing yet. Owned by the sandbox. */
struct pod_namespaces *pod_namespaces_create(struct ev_loop *loop);

/* NULL is fine. What is in the pid namespace is killed. */
void pod_namespaces_destroy(struct pod_namespaces *namespaces);
CLEANUP_DESTROY(pod_namespaces)

/* Gives @spec the pod's pid namespace, by its path in the guest, if it names none. */
int pod_namespaces_complete(struct pod_namespaces *namespaces, Grpc__Spec *spec, struct error *err);

/* The pause process, in the agent's pid namespace; 0: there is none. */
pid_t pod_namespaces_pause(const struct pod_namespaces *namespaces);

#endif
