/*
 * The guest's side of the relay between loopbacks (proto/vsock_ports.h): streams of the host that
 * become connections to localhost, and nameservers of the host (resolver.h). A pod's processes have the guest's own network namespace, and
 * so has the agent.
 */
#ifndef AGENT_RELAY_H
#define AGENT_RELAY_H

#include <stdint.h>

struct error;
struct ev_loop;
struct relay;

/* The port that an accepted connection comes from, as vsock_socket_peer(). */
typedef int relay_peer_fn(int fd, uint32_t *port, struct error *err);

/* Takes ownership of @listen_fd. Nameservers are reached by who is in @cgroup or below it. */
struct relay *relay_create(struct ev_loop *loop, int listen_fd, const char *cgroup,
                           relay_peer_fn *peer);
void relay_destroy(struct relay *relay); /* NULL is fine; resets all connections */

#endif
