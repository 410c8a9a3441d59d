/*
 * The pid namespace that containers of the pod share. A container whose spec names none is in it,
 * too, never in the agent's own, whose limits and priority it could change. It is held by a pause
 * process (agent/launch/pause.h), which is made when the first such container comes. If the pause
 * process dies, the kernel kills all that is in the namespace with it; the next container gets a new
 * one.
 *
 * The pod's ipc, uts and network namespaces are the guest's own: a container that names none is in
 * them.
 */
#ifndef AGENT_POD_NAMESPACES_H
#define AGENT_POD_NAMESPACES_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"

struct ev_loop;
struct pod_namespaces;

#define POD_NAMESPACES_TIMEOUT_MS 5000 /* for the pause process to be ready */

/* Embedded in who waits for the namespaces; zeroed before its first use. */
struct pod_namespaces_join {
	LIST_ENTRY(pod_namespaces_join) link;
	bool waits;
	int pid_namespace; /* when it is done, the owner's to close; else -1 */
	done_fn *done;
	void *ctx;
};

/* Makes nothing yet. Owned by the sandbox. */
struct pod_namespaces *pod_namespaces_create(struct ev_loop *loop);

/* NULL is fine. What is in the pid namespace is killed; all that waited have left. */
void pod_namespaces_destroy(struct pod_namespaces *namespaces);
CLEANUP_DESTROY(pod_namespaces)

/* Begins to make what is to be joined, so that the first that joins waits less. */
void pod_namespaces_prepare(struct pod_namespaces *namespaces);

/*
 * Opens the pod's pid namespace, which is made if there is none. join->done comes once unless an
 * error is returned or it leaves; before this returns when there is nothing to wait for.
 */
int pod_namespaces_join_pid(struct pod_namespaces *namespaces, struct pod_namespaces_join *join,
                            struct error *err);
void pod_namespaces_leave(struct pod_namespaces_join *join); /* also one that does not wait */

/* The pause process, in the agent's pid namespace, ready or not; 0: there is none. */
pid_t pod_namespaces_pause(const struct pod_namespaces *namespaces);

#endif
