/*
 * The process that serves a pod: what `start` leaves behind. It makes itself a daemon with a mount
 * namespace of its own, starts the service, and removes what the pod has on the host when that
 * ends.
 */
#ifndef SHIM_SERVE_H
#define SHIM_SERVE_H

#include <stdbool.h>

#include "common/error.h"
#include "shim/config/config_load.h"
#include "shim/host/address.h"

struct serve_config {
	const char *ns;
	const char *id; /* of the container that the pod begins with */
	const char *bundle;
	const char *containerd;    /* its address, for the process title */
	const char *ttrpc_address; /* where events go; NULL: nowhere */
	const char *pod_dir;
	struct address address;
	char **argv; /* the process's own, to be overwritten */
	bool debug;
	struct config_source source; /* the runtime options */
	int bundle_look_ms;          /* how often to look whether the bundle is still there */
	int listen_fd;
	int ready_fd; /* a pipe: takes one struct error, ERROR_NONE when the service has started */
};

/*
 * In the child that `start` has forked. Returns the exit status when the pod has ended: then its
 * directory and its socket are gone, unless it never was ready: those `start` removes.
 */
int serve(const struct serve_config *config);

#endif
