/*
 * The relay from the loopback of the pod's namespace on the host to that of the guest: each TCP
 * connection that somebody makes there is handed to the vsock device as a stream to the guest's
 * agent, which connects to the same port of the guest's localhost (proto/vsock_ports.h). No byte of
 * them passes through the shim.
 */
#ifndef SHIM_LOOPBACK_RELAY_H
#define SHIM_LOOPBACK_RELAY_H

#include "common/cleanup.h"

struct ev_loop;
struct loopback;
struct loopback_relay;
struct vsock;

struct loopback_relay_config {
	struct vsock *vsock;       /* outlives the relay */
	struct loopback *loopback; /* the relay's from then on */
	int timeout_ms;            /* for the guest to take a stream */
};

/* Begins with the connections that wait already. */
struct loopback_relay *loopback_relay_create(struct ev_loop *loop,
                                             const struct loopback_relay_config *config);
/* NULL is fine. Connections are refused from then on, and those there are are reset. */
void loopback_relay_destroy(struct loopback_relay *relay);

CLEANUP_DESTROY(loopback_relay)

#endif
