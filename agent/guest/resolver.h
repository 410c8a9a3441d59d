/*
 * A nameserver of the host's namespace at an address of the guest's loopback, port 53, by UDP and
 * TCP: what docker's resolv.conf names, 127.0.0.11 (proto/vsock_ports.h). It listens at another port,
 * to which that one leads (port_redirect.h). Each query by UDP, and each
 * connection by TCP, gets a connection to the nameserver, which the host makes when it is asked.
 */
#ifndef AGENT_RESOLVER_H
#define AGENT_RESOLVER_H

#include <netinet/in.h>

struct error;
struct ev_loop;
struct resolver;

#define RESOLVER_PORT         53
#define RESOLVER_REQUESTS_MAX 64 /* at once; one more is dropped */

/* The host has ended it. It may be destroyed in it. */
typedef void resolver_ended_fn(void *ctx);

/*
 * Listens, and tells the host so on @control, which stays the caller's on failure and is the
 * resolver's otherwise. @cgroup: who reaches it at @address is in that cgroup.
 */
int resolver_create(struct ev_loop *loop, const struct sockaddr_in *address, const char *cgroup,
                    int control, resolver_ended_fn *ended, void *ctx, struct resolver **out,
                    struct error *err);
void resolver_destroy(struct resolver *resolver); /* NULL is fine */

/* A connection to the nameserver, taken over: for who has waited longest. */
void resolver_give(struct resolver *resolver, int fd);

#endif
