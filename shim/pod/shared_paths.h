/*
 * What the containers of a pod share, by the paths of the host that a client's specs name: the
 * pod's namespaces, as /proc/<pid>/ns/<type> of its pause container (containerd) or as the files
 * that the sandbox's spec names (CRI-O pins them), and its /dev/shm, a tmpfs of the host that the
 * client has made. In the guest the ipc, uts and network namespaces are the guest's own, the pid
 * namespace is that of the agent's pause process, and /dev/shm is a tmpfs of the guest.
 */
#ifndef SHIM_SHARED_PATHS_H
#define SHIM_SHARED_PATHS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/oci.pb-c.h"

struct bundle;
struct error;

enum shared_namespace {
	SHARED_IPC,
	SHARED_NETWORK,
	SHARED_PID,
	SHARED_UTS,
	SHARED_NAMESPACES,
};

/* By the type's name in a spec; SHARED_NAMESPACES: none that containers of a pod share. */
enum shared_namespace shared_namespace_of(const char *type);
/* Its name in /proc/<pid>/ns. */
const char *shared_namespace_file(enum shared_namespace namespace);

struct shared_paths {
	char *namespaces[SHARED_NAMESPACES]; /* NULL: the sandbox's spec names no file */
	char *shm;                           /* NULL: the pod has none */
	uint64_t shm_bytes;                  /* its size; 0: no limit of its own */
};

/* Whether a pod can have the namespaces that the sandbox's spec asks for: those of the host are
 * refused (hostNetwork, hostPID, hostIPC), ERROR_UNIMPLEMENTED. */
int shared_paths_check(struct bundle *sandbox, struct error *err);

/* Of a container of its own: ERROR_UNIMPLEMENTED, it has the host's ipc namespace, whose /dev/shm
 * its spec binds. (Without that, no namespace means the machine's.) */
int shared_paths_check_single(struct bundle *container, struct error *err);

/* From the sandbox's spec. @paths is zeroed before, but for its /dev/shm. */
void shared_paths_init(struct shared_paths *paths, const Grpc__Spec *sandbox);
/* A /dev/shm that the host has not: binds of GUEST_SHM mean it. */
void shared_paths_set_shm(struct shared_paths *paths, uint64_t bytes);
void shared_paths_fini(struct shared_paths *paths);

#endif
