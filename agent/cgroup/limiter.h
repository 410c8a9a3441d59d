/*
 * Changes the limits of a container's cgroup while processes live in it: in a child process, since
 * a memory.max below the usage makes its writer reclaim the difference, and new cpusets make theirs
 * wait for a move of memory. One change after the other, in the order of the calls.
 */
#ifndef AGENT_LIMITER_H
#define AGENT_LIMITER_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "proto/oci.pb-c.h"

struct cgroup;
struct ev_loop;
struct limiter;

/* Borrows @cgroup. @timeout_ms: of a change, from its call to its end. */
struct limiter *limiter_create(struct ev_loop *loop, struct cgroup *cgroup, int timeout_ms);
void limiter_destroy(struct limiter *limiter); /* NULL is fine; callbacks are dropped */

/*
 * Writes @resources (NULL: none), which live until @done, as cgroup_limit(). @done comes once
 * unless an error is returned, and does not destroy the limiter. ERROR_DEADLINE_EXCEEDED: some of
 * them may have been written.
 */
int limiter_change(struct limiter *limiter, const Grpc__LinuxResources *resources, done_fn *done,
                   void *ctx, struct error *err);

/* Each change that is under way or waits ends with @why, before this returns. */
void limiter_cancel(struct limiter *limiter, const struct error *why);

/* A child still writes, maybe for a change that was cancelled: it ends soon, and until then the
 * kernel would hold up the removal of the cgroup. */
bool limiter_busy(const struct limiter *limiter);

CLEANUP_DESTROY(limiter)

#endif
