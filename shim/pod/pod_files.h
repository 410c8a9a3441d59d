/*
 * The files of a pod's own /etc, which its containers share: hosts, hostname and resolv.conf. A CRI
 * implementation makes them, but not for a sandbox of containerd's Sandbox API; then they are here,
 * and the specs of the pod's containers, which do not name them, are completed: by these files, and
 * by the pod's /dev/shm.
 */
#ifndef SHIM_POD_FILES_H
#define SHIM_POD_FILES_H

#include "common/cleanup.h"
#include "proto/oci.pb-c.h"

struct error;
struct pod_files;

struct pod_files_config {
	const char *id;          /* of the pod */
	const char *dir;         /* where they are written; whoever made it removes it with them */
	const char *hostname;    /* empty: the host's */
	const char *resolv_conf; /* the text; NULL: the host's */
};

int pod_files_create(const struct pod_files_config *config, struct pod_files **out,
                     struct error *err);
void pod_files_destroy(struct pod_files *files); /* NULL is fine; removes none */

/*
 * Completes a container's spec before volumes_take(): what has no mount at its place gets one, as
 * writable as the root file system. containerd 1.7 names files that it has not made, below
 * ".../sandboxes/<id>/": these are meant as well. A tmpfs of its own at /dev/shm, which is
 * containerd's default, becomes the pod's (shared_paths_set_shm()).
 */
void pod_files_bind(const struct pod_files *files, Grpc__Spec *spec);

CLEANUP_DESTROY(pod_files)

#endif
