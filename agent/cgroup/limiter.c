#include "agent/cgroup/limiter.h"

#include <ev.h>
#include <sys/queue.h>

#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/cgroup_limits.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "common/monotonic.h"

struct change {
	STAILQ_ENTRY(change) link;
	const Grpc__LinuxResources *resources;
	int64_t finish_by; /* of monotonic_ms() */
	done_fn *done;
	void *ctx;
};

struct limiter {
	struct ev_loop *loop;
	struct cgroup *cgroup;
	STAILQ_HEAD(, change) changes; /* to be written, in this order */
	struct change *writing;        /* NULL: none, or it was cancelled and its child is to end */
	struct errand *errand;         /* NULL: no child writes */
	int timeout_ms;
};

struct limiter *limiter_create(struct ev_loop *loop, struct cgroup *cgroup, int timeout_ms)
{
	struct limiter *limiter = mem_new(struct limiter);

	limiter->loop = loop;
	limiter->cgroup = cgroup;
	limiter->timeout_ms = timeout_ms;
	STAILQ_INIT(&limiter->changes);
	return limiter;
}

/* In the child. */
static int write_limits(void *ctx, struct errand_result *result, struct error *err)
{
	const struct limiter *limiter = ctx;

	return cgroup_limit(limiter->cgroup, limiter->writing->resources, err);
}

static void on_written(void *ctx, const struct error *err);

static int begin(struct limiter *limiter, struct change *change, struct error *err)
{
	const int left_ms = (int)(change->finish_by - monotonic_ms());
	const int fd = cgroup_fd(limiter->cgroup);
	const struct errand_spec spec = {
		.work = write_limits, .ctx = limiter, .fds = &fd, .nfds = 1, .timeout_ms = left_ms
	};
	int r;

	if (left_ms <= 0)
		return error_set(err, ERROR_DEADLINE_EXCEEDED,
		                 "cannot write limits: not begun within %d ms, for earlier ones",
		                 limiter->timeout_ms);
	limiter->writing = change;
	r = errand_start_with(limiter->loop, &spec, on_written, limiter, &limiter->errand, err);
	if (r < 0)
		limiter->writing = NULL;
	return r;
}

/* Its last act is the callback. */
static void change_end(struct change *change, const struct error *err)
{
	done_fn *done = change->done;
	void *ctx = change->ctx;

	free(change);
	done(ctx, err);
}

/* Those that cannot begin have ended with it. */
static void begin_next(struct limiter *limiter)
{
	struct change *change;
	struct error err;

	while (!limiter->errand && (change = STAILQ_FIRST(&limiter->changes))) {
		STAILQ_REMOVE_HEAD(&limiter->changes, link);
		if (begin(limiter, change, &err) < 0)
			change_end(change, &err);
	}
}

static void on_written(void *ctx, const struct error *err)
{
	struct limiter *limiter = ctx;
	struct change *change = take_ptr(&limiter->writing);
	struct error late;

	if (err && err->code == ERROR_DEADLINE_EXCEEDED) {
		error_set(&late, ERROR_DEADLINE_EXCEEDED,
		          "cannot write limits: not done within %d ms", limiter->timeout_ms);
		err = &late;
	}
	errand_destroy(take_ptr(&limiter->errand));
	if (change)
		change_end(change, err);
	begin_next(limiter);
}

int limiter_change(struct limiter *limiter, const Grpc__LinuxResources *resources, done_fn *done,
                   void *ctx, struct error *err)
{
	struct change *change;
	int r;

	r = resources ? cgroup_limits_check(resources, err) : 0;
	if (r < 0)
		return r;
	change = mem_new(struct change);
	change->resources = resources;
	change->finish_by = monotonic_ms() + limiter->timeout_ms;
	change->done = done;
	change->ctx = ctx;
	if (limiter->errand) {
		STAILQ_INSERT_TAIL(&limiter->changes, change, link);
		return 0;
	}
	r = begin(limiter, change, err);
	if (r < 0)
		free(change);
	return r;
}

/* The child's memory.max is in force when it begins to reclaim; a signal ends that soon. */
void limiter_cancel(struct limiter *limiter, const struct error *why)
{
	struct change *change;

	if (limiter->errand)
		errand_cancel(limiter->errand);
	if (limiter->writing)
		change_end(take_ptr(&limiter->writing), why);
	while ((change = STAILQ_FIRST(&limiter->changes))) {
		STAILQ_REMOVE_HEAD(&limiter->changes, link);
		change_end(change, why);
	}
}

bool limiter_busy(const struct limiter *limiter)
{
	return limiter->errand;
}

void limiter_destroy(struct limiter *limiter)
{
	struct change *change;

	if (!limiter)
		return;
	errand_destroy(limiter->errand);
	free(limiter->writing);
	while ((change = STAILQ_FIRST(&limiter->changes))) {
		STAILQ_REMOVE_HEAD(&limiter->changes, link);
		free(change);
	}
	free(limiter);
}
