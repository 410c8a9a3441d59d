/*
 * Work that may block, done by a child process: forked and not executed, so that it works on what
 * this process has in its memory. The child has no descriptors but 0, 1 and 2, default signals, and
 * dies with its parent. What it does to the mount namespace is done for both.
 */
#ifndef COMMON_ERRAND_H
#define COMMON_ERRAND_H

#include "common/cleanup.h"
#include "common/error.h"

struct errand;
struct ev_loop;

#define ERRAND_GRACE_MS 1000 /* for the child to die in when it is killed */

/* In the child: returns 0, or -errno with @err filled. It may change the child as it likes (chdir),
 * and must not use the loop. */
typedef int errand_fn(void *ctx, struct error *err);

/*
 * @done gets what @work has ended with: its error, or ERROR_DEADLINE_EXCEEDED when the child was
 * killed after @timeout_ms. A child that not even SIGKILL ends is
 * not waited for.
 */
int errand_start(struct ev_loop *loop, errand_fn *work, void *work_ctx, int timeout_ms,
                 done_fn *done, void *ctx, struct errand **out, struct error *err);

/* Kills the child if it still runs; @done then gets ERROR_CANCELED. */
void errand_cancel(struct errand *errand);

/* NULL is fine. Kills the child if it still runs; @done is dropped. Allowed in @done. */
void errand_destroy(struct errand *errand);

CLEANUP_DESTROY(errand)

#endif
