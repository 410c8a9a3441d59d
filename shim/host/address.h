/*
 * Where a pod's shim listens: <dir>/<sha256 of "<containerd's address>/<namespace>/<id>">, as
 * containerd's own library for shims has it (pkg/shim/util_unix.go, CreateSocketAddress). So it is
 * another one for each containerd, namespace and pod, and short enough for a Unix socket.
 */
#ifndef SHIM_ADDRESS_H
#define SHIM_ADDRESS_H

#include <stdbool.h>

#include "common/unix_socket.h"
#include "shim/host/pod_dir.h"

struct error;

#define ADDRESS_DIR      "/run/containerd/s"
#define ADDRESS_URI      "unix://" /* what stands before the path where containerd reads it */
#define ADDRESS_NAME_LEN 64

struct address {
	char path[UNIX_SOCKET_PATH_MAX + 1];
	char pod[POD_NAME_LEN + 1]; /* the pod's name: the first digits of the socket's */
};

/* ERROR_INVALID_ARGUMENT when @dir is too long. */
int address_of(const char *dir, const char *containerd, const char *ns, const char *id,
               struct address *out, struct error *err);
/* From a bundle's file `address`: "unix://<dir>/<64 hex digits>", other text is refused. */
int address_parse(const char *uri, struct address *out, struct error *err);

/*
 * Returns a listening socket, mode 0600, its directory made if missing. A stale
 * socket is replaced; ERROR_ALREADY_EXISTS: a shim listens on it. Under pod_dir_lock(), when
 * no shim holds the pod's directory.
 */
int address_listen(const struct address *address, struct error *err);
/* The server, which has inherited that socket from `start`: it is the one that address_is_ending() is
 * about. */
int address_serve(int listen_fd, struct error *err);

/* A connection, -ECONNREFUSED: no listener, or -ENOENT: no socket. Never waits; -EAGAIN is a
 * listener that is busy. */
int address_connect(const struct address *address);
/* Whether a shim listens; it is sent no request. */
bool address_is_served(const struct address *address);
/* A shim listens, but it was killed, and its socket is about to go. A process closes its connections
 * one by one, so that its clients can know of its end before. */
bool address_is_ending(const struct address *address);

#endif
