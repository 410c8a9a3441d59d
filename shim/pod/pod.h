/*
 * What the shim's calls work on: a sandbox and the containers in it. A pod begins with one
 * container: its only one, or its pause container, which a CRI implementation creates first and
 * ends last. A pause container has no process of its own in the guest: it stands for the machine,
 * runs as long, and the machine ends when it is killed. The pod ends when its last container has
 * gone.
 *
 * In a pod of containerd's Sandbox API the pause container stands for the sandbox: CreateSandbox
 * makes it and boots the machine, no call of the Task service means it, and the pod ends by
 * ShutdownSandbox alone.
 */
#ifndef SHIM_POD_H
#define SHIM_POD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "common/error.h"
#include "proto/google.pb-c.h"
#include "shim/pod/pod_size.h"
#include "shim/pod/shared_paths.h"

struct bundle;
struct config;
struct container;
struct ev_loop;
struct events;
struct host_cgroup;
struct install;
struct loopback;
struct netns;
struct pod_files;
struct sandbox;
struct ttrpc_call;
struct volume_copies;
struct volume_table;

struct pod;

/* What kind of pod it is: which containers it takes. */
struct pod_policy {
	/* Whether a container with this id and bundle may come now. */
	int (*takes)(const struct pod *pod, const char *id, const struct bundle *bundle,
	             struct error *err);
};

struct pod {
	const struct pod_policy *policy;
	struct ev_loop *loop;
	const struct config *config;
	struct events *events;
	struct netns *netns;           /* the host's side of its network */
	struct host_cgroup *cgroup;    /* of the machine, on the host */
	struct loopback *loopback;     /* until the sandbox has it; NULL: there is none */
	struct sandbox *sandbox;       /* NULL: what begins it has not come */
	char *id;                      /* of the container that it begins with */
	char *ns;                      /* containerd's namespace */
	char *dir;                     /* /run/kata/<pod> */
	char *share_dir;               /* below it: where file systems are mounted */
	char *view_dir;                /* the same, read-only: what the guest gets */
	char *empty_dir;               /* an empty directory */
	const struct install *install; /* outlives it */
	int host_mounts;               /* the host's mount namespace, where hooks run */
	struct shared_paths shared;    /* empty in the pod of a single container */
	struct pod_size size;
	uint64_t memory_mib;          /* what the machine has had at most */
	struct volume_table *volumes; /* what its containers bind */
	struct volume_copies *volume_copies;
	bool is_sandbox;            /* of the Sandbox API */
	struct timespec created_at; /* when CreateSandbox came */
	struct pod_files *files;    /* NULL: the client makes them */
	LIST_HEAD(, container) containers;
	struct error failure; /* of the Create that ended it; ERROR_NONE: none did */
	/* A Create has failed, or a container has gone. Called from within calls: destroys nothing.
	 */
	void (*on_change)(void *ctx);
	/* Shutdown: answers the call. */
	void (*on_shutdown)(void *ctx, struct ttrpc_call *call);
	/* The same, whatever is in the pod. */
	void (*on_end)(void *ctx, struct ttrpc_call *call);
	/* A pod that `start` has not begun: pod_start(), unless the pod is ending. @options: of the
	 * runtime, instead of those that `start` had; NULL: none. */
	int (*on_begin)(void *ctx, struct bundle *bundle, const Google__Protobuf__Any *options,
	                struct error *err);
	void *ctx;
};

/* No container is there: it ends, if one has been. */
bool pod_is_empty(const struct pod *pod);

/* Frees what is left without its containers and its sandbox. */
void pod_fini(struct pod *pod);

#endif
