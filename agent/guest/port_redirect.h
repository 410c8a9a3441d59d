/*
 * A port of an address of the guest's loopback that leads to another port, where the agent listens:
 * so the first is free for a server of the pod that listens at all addresses. (docker's resolver is
 * behind a nat rule for the same reason.) Programs of type cgroup_sock_addr (bpf(2)) change the port
 * in connect(2) and sendmsg(2), and change it back in recvmsg(2), of all processes of a cgroup; also
 * where they name the address as one of IPv6, ::ffff:127.0.0.11. No packet is touched.
 */
#ifndef AGENT_PORT_REDIRECT_H
#define AGENT_PORT_REDIRECT_H

#include <netinet/in.h>
#include <stdint.h>

#include "common/cleanup.h"

struct error;
struct port_redirect;

/* For all that is in the cgroup at @cgroup, or below it: who sends to @from reaches @port there. */
int port_redirect_create(const char *cgroup, const struct sockaddr_in *from, uint16_t port,
                         struct port_redirect **out, struct error *err);
void port_redirect_destroy(struct port_redirect *redirect); /* NULL is fine */

CLEANUP_DESTROY(port_redirect)

#endif
