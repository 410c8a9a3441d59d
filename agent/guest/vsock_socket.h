/*
 * AF_VSOCK sockets of the guest (man 7 vsock). All descriptors are non-blocking and close-on-exec.
 */
#ifndef AGENT_VSOCK_SOCKET_H
#define AGENT_VSOCK_SOCKET_H

#include <stdint.h>

struct error;

/* Listens on @port of any CID: works before a vsock device exists, and serves it once one does. */
int vsock_socket_listen(uint32_t port, int *out, struct error *err);

/* Begins to connect to the host's @port: *@out is writable when it is decided (SO_ERROR). */
int vsock_socket_connect(uint32_t port, int *out, struct error *err);

/* The guest's own CID. ERROR_UNAVAILABLE: no vsock device yet. */
int vsock_socket_cid(uint32_t *out, struct error *err);

/* The port of the peer of @fd. ERROR_PERMISSION_DENIED: the peer is not the host. */
int vsock_socket_peer(int fd, uint32_t *port, struct error *err);

#endif
