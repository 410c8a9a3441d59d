/*
 * The nameservers of the pod's namespace on the host that the guest reaches (resolver_relay.h):
 * those that the resolv.conf of one of its containers names.
 */
#ifndef SHIM_RESOLVERS_H
#define SHIM_RESOLVERS_H

#include <stdbool.h>

#include "common/cleanup.h"

struct ev_loop;
struct netns;
struct resolvers;
struct vsock;

/* Called from the loop when the agent listens at all of them, or a warning says why not. */
typedef void resolvers_settled_fn(void *ctx);

struct resolvers_config {
	struct vsock *vsock; /* both outlive the resolvers */
	const struct netns *netns;
	int timeout_ms;
	resolvers_settled_fn *on_settled;
	void *ctx;
};

struct resolvers *resolvers_create(struct ev_loop *loop, const struct resolvers_config *config);
void resolvers_destroy(struct resolvers *resolvers); /* NULL is fine */

/* Those that the resolv.conf at @path names and that are new are begun. False: on_settled follows. */
bool resolvers_add(struct resolvers *resolvers, const char *path);

/* Reads the files again: they may have changed. */
void resolvers_refresh(struct resolvers *resolvers);

CLEANUP_DESTROY(resolvers)

#endif
