/*
 * What the shim's calls work on: a sandbox and the containers in it.
 */
#ifndef SHIM_POD_H
#define SHIM_POD_H

#include <stdbool.h>
#include <sys/queue.h>

#include "common/error.h"

struct bundle;
struct config;
struct container;
struct ev_loop;
struct events;
struct sandbox;
struct ttrpc_call;

struct pod;

/* What kind of pod it is: when it ends, and which containers it takes. */
struct pod_policy {
	/* Asked when a Create has failed, or a container has gone. */
	bool (*ends)(const struct pod *pod);
	/* Whether a container with this id may come now. */
	int (*takes)(const struct pod *pod, const char *id, struct error *err);
};

struct pod {
	const struct pod_policy *policy;
	struct ev_loop *loop;
	const struct config *config;
	struct events *events;
	struct sandbox *sandbox;
	char *ns; /* containerd's namespace */
	char *share_dir;
	LIST_HEAD(, container) containers;
	struct error failure; /* of the Create that ended it; ERROR_NONE: none did */
	/* A Create has failed, or a container has gone. Called from within calls: destroys nothing.
	 */
	void (*on_change)(void *ctx);
	/* Shutdown: answers the call. */
	void (*on_shutdown)(void *ctx, struct ttrpc_call *call);
	void *ctx;
};

/* The kind of pod that begins with this bundle. ERROR_UNIMPLEMENTED: we do not serve it. */
int pod_policy_for(const struct bundle *bundle, const struct pod_policy **out, struct error *err);

#endif
