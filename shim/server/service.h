/*
 * What a pod's shim serves once it has its socket: boots the VM at once, then answers containerd's
 * Task calls (containerd api/runtime/task/v2/shim.proto, and v3) until the pod has ended. With a
 * bundle without config.json it is a sandbox of the Sandbox API, whose VM boots at CreateSandbox.
 */
#ifndef SHIM_SERVICE_H
#define SHIM_SERVICE_H

#include "common/cleanup.h"

struct config;
struct error;
struct ev_loop;
struct events;
struct install;
struct loopback;
struct service;

struct service_config {
	const char *ns;        /* containerd's namespace */
	const char *id;        /* of the container that the pod begins with */
	const char *bundle;    /* its bundle: says how big the VM is, before Create comes */
	const char *pod_dir;   /* /run/kata/<pod>, exists */
	const char *share_dir; /* below it: bound on itself and MS_SHARED in our mount namespace */
	const char *view_dir;  /* the same, read-only: what the guest gets */
	int host_mounts;       /* the host's mount namespace, where hooks run */
	const struct install *install;
	const struct config *config;
	struct events *events;
	int listen_fd;             /* taken over */
	struct loopback *loopback; /* taken over; NULL: ports are not forwarded */
	/* The pod has begun to end: no container will come any more. Called once, before on_end;
	 * nothing of the service may be called in it. NULL: no callback. */
	void (*on_ending)(void *ctx);
};

/* The pod has ended (or never began): everything of it is gone but the pod's directory, events are
 * on their way. May destroy the service. */
typedef void service_end_fn(void *ctx);

/* Strings of @config are copied; install, config and events outlive the service. */
int service_start(struct ev_loop *loop, const struct service_config *config, service_end_fn *on_end,
                  void *ctx, struct service **out, struct error *err);

/* The bundle that tells whether containerd still has this pod, now that @gone does not exist any
 * more: that of a container which is left, owned by the service. NULL: there is none, or @gone
 * belongs to a container that has not been deleted. */
const char *service_next_bundle(const struct service *service, const char *gone);

/* Asked to go (SIGTERM): kills the VM, ends every process with status 137, then on_end. */
void service_stop(struct service *service);
void service_destroy(struct service *service); /* NULL is fine; kills what lives, no callback */

CLEANUP_DESTROY(service)

#endif
