/*
 * The end of a container that has been killed: its processes go when the kernel comes to them, and
 * what they were in goes after them, perhaps in slices. It is tried until all of it has gone.
 */
#ifndef AGENT_REMOVAL_H
#define AGENT_REMOVAL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* Returns 0: all has gone; -EBUSY: something still dies; -EAGAIN: a slice has gone, there are more;
 * or another error, which ends it. */
typedef int removal_try_fn(void *ctx, struct error *err);

struct removal { /* embedded */
	struct ev_loop *loop;
	const char *id; /* of the container, for the error text */
	int timeout_ms; /* for a slice */
	removal_try_fn *try;
	void *try_ctx;
	done_fn *done;
	void *done_ctx;
	ev_timer timer;
	int64_t deadline; /* of monotonic_ms() */
};

void removal_init(struct removal *removal, struct ev_loop *loop, const char *id, int timeout_ms,
                  removal_try_fn *try, void *ctx);

/* Tries at once, then now and then. @done is the last of it, perhaps before this returns, and may
 * free @removal. ERROR_DEADLINE_EXCEEDED: nothing has gone for too long. */
void removal_start(struct removal *removal, done_fn *done, void *ctx);
void removal_stop(struct removal *removal); /* drops @done */
bool removal_active(const struct removal *removal);

#endif
