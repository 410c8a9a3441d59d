/*
 * Work that may block, done by a child process: a function, on a copy of this process's memory,
 * with a deadline and a result. The child has no descriptor but 0, 1 and 2, which are /dev/null,
 * and those that it is given; it has default signals, and dies with its parent. It shares the
 * parent's mount namespace until it enters another by setns(2), which does not affect the parent.
 * It works in ev_default_loop() too: the report counts, not the status.
 */
#ifndef COMMON_ERRAND_H
#define COMMON_ERRAND_H

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/fd_message.h"

struct errand;
struct ev_loop;

#define ERRAND_BYTES_MAX (128 << 10)
#define ERRAND_FDS_MAX   FD_MESSAGE_MAX

/* What a child hands back. The function adds bytes and puts descriptors in; they reach the parent
 * when it returns 0. */
struct errand_result {
	struct buf bytes; /* its maximum is ERRAND_BYTES_MAX */
	int fds[ERRAND_FDS_MAX];
	size_t nfds;
};

/* In the child: returns 0, or -errno with @err filled. It may change the child as it likes (chdir,
 * setns), and must not use the loop. */
typedef int errand_fn(void *ctx, struct errand_result *result, struct error *err);

/*
 * @done gets what @work has ended with: its error, or ERROR_DEADLINE_EXCEEDED when the child was
 * killed after @timeout_ms. A child that not even SIGKILL ends is given up (PROC_KILL_GRACE_MS).
 */
int errand_start(struct ev_loop *loop, errand_fn *work, void *work_ctx, int timeout_ms,
                 done_fn *done, void *ctx, struct errand **out, struct error *err);

struct errand_spec {
	errand_fn *work;
	void *ctx;
	const int *fds; /* open in the child too, under the same numbers; -1 among them is none */
	size_t nfds;    /* at most ERRAND_FDS_MAX */
	int timeout_ms;
};

/* The same for work that needs descriptors of the parent's. @spec may go when this returns. */
int errand_start_with(struct ev_loop *loop, const struct errand_spec *spec, done_fn *done,
                      void *ctx, struct errand **out, struct error *err);

/* In @done and after it, when there was no error. The errand's: a descriptor is taken out of it by
 * take_fd(). */
struct errand_result *errand_result(struct errand *errand);

/* Kills the child if it still runs; @done then gets ERROR_CANCELED. */
void errand_cancel(struct errand *errand);

/* NULL is fine. Kills the child if it still runs; @done is dropped. Allowed in @done. */
void errand_destroy(struct errand *errand);

CLEANUP_DESTROY(errand)

#endif
