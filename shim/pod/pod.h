/*
 * What the shim's calls work on: a sandbox and the containers in it.
 */
#ifndef SHIM_POD_H
#define SHIM_POD_H

#include <sys/queue.h>

#include "common/error.h"

struct config;
struct container;
struct ev_loop;
struct events;
struct sandbox;
struct ttrpc_call;

struct pod {
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

/* NULL: there is none. */
struct container *pod_container(const struct pod *pod, const char *id);

#endif
