#include "agent/pod/removal.h"

#include <errno.h>

#include "common/monotonic.h"

/* Between tries: the wait doubles up to a maximum. */
#define FIRST_S 0.001
#define MOST_S  0.05

static void set_deadline(struct removal *removal)
{
	removal->deadline = monotonic_ms() + removal->timeout_ms;
}

/* Its last act is @done, which may free the removal. */
static void removal_end(struct removal *removal, const struct error *err)
{
	removal_stop(removal);
	removal->done(removal->done_ctx, err);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct removal *removal = timer->data;
	ev_tstamp wait = timer->repeat * 2;
	struct error err;
	int r;

	r = removal->try(removal->try_ctx, &err);
	if (r == 0) {
		removal_end(removal, NULL);
	} else if (r == -EAGAIN) { /* a slice has gone: others have their turn, then the next */
		set_deadline(removal);
		timer->repeat = FIRST_S;
		ev_timer_again(loop, timer);
	} else if (r != -EBUSY) {
		removal_end(removal, &err);
	} else if (monotonic_ms() > removal->deadline) {
		error_set(&err, ERROR_DEADLINE_EXCEEDED,
		          "killed processes of container \"%s\" have not gone after %d ms",
		          removal->id, removal->timeout_ms);
		removal_end(removal, &err);
	} else {
		timer->repeat = wait < MOST_S ? wait : MOST_S;
		ev_timer_again(loop, timer);
	}
}

void removal_init(struct removal *removal, struct ev_loop *loop, const char *id, int timeout_ms,
                  removal_try_fn *try, void *ctx)
{
	removal->loop = loop;
	removal->id = id;
	removal->timeout_ms = timeout_ms;
	removal->try = try;
	removal->try_ctx = ctx;
	ev_timer_init(&removal->timer, on_timer, 0, 0);
	removal->timer.data = removal;
}

void removal_start(struct removal *removal, done_fn *done, void *ctx)
{
	removal->done = done;
	removal->done_ctx = ctx;
	set_deadline(removal);
	removal->timer.repeat = FIRST_S;
	on_timer(removal->loop, &removal->timer, 0);
}

void removal_stop(struct removal *removal)
{
	ev_timer_stop(removal->loop, &removal->timer);
}

bool removal_active(const struct removal *removal)
{
	return ev_is_active(&removal->timer);
}
