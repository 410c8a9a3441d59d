/*
 * A nameserver of the pod's namespace on the host, for the guest: the agent listens at its address
 * and asks for connections, which are made here, in the namespace, and handed to the vsock device
 * (proto/vsock_ports.h). What the guest says is one byte each; it chooses neither address nor port.
 */
#ifndef SHIM_RESOLVER_RELAY_H
#define SHIM_RESOLVER_RELAY_H

#include <netinet/in.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

struct ev_loop;
struct netns;
struct resolver_relay;
struct vsock;

#define RESOLVER_RELAY_LINKS_MAX 32 /* connections at once; the guest waits for more */

struct resolver_relay_config {
	struct vsock *vsock;       /* outlives the relay */
	const struct netns *netns; /* the same */
	int timeout_ms;            /* for the guest to take a stream, and for a connection */
	struct in_addr address;
	uint16_t port;
};

/* @on_settled is called once, from the loop: the agent listens, or why not. It may be destroyed in
 * it. What fails later is logged. */
struct resolver_relay *resolver_relay_create(struct ev_loop *loop,
                                             const struct resolver_relay_config *config,
                                             done_fn *on_settled, void *ctx);
void resolver_relay_destroy(struct resolver_relay *relay); /* NULL is fine */

CLEANUP_DESTROY(resolver_relay)

#endif
