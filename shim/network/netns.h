/*
 * The network namespace of a pod: one of the host that a spec names, or one of its own. It is held
 * by a descriptor and by nothing else: it ends with its last user.
 */
#ifndef SHIM_NETNS_H
#define SHIM_NETNS_H

#include <stdbool.h>

#include "common/cleanup.h"

struct error;
struct netns;

/* The one at @path, which may be removed afterwards. What is none, and that of the host (the
 * calling thread's own), is refused. */
int netns_open(const char *path, struct netns **out, struct error *err);
/* A new one, in which nothing is but `lo`, which is up. */
int netns_make(struct netns **out, struct error *err);
void netns_destroy(struct netns *netns); /* NULL is fine */

int netns_fd(const struct netns *netns); /* lives as long as @netns */

/* Fails unless the namespace at @path is this one. */
int netns_check(const struct netns *netns, const char *path, struct error *err);

/*
 * Calls @fn in the namespace, on the calling thread, and returns what it returns. A thread that
 * could not come back would work in a foreign namespace: the process aborts then.
 */
typedef int netns_fn(void *ctx, struct error *err);
int netns_call(const struct netns *netns, netns_fn *fn, void *ctx, struct error *err);

CLEANUP_DESTROY(netns)

#endif
