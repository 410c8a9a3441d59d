#include "shim/pod/guest_clock.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/features.h"
#include "shim/pod/agent_client.h"

/*
 * A look asks the guest for its time. The answer was true at some moment between question and
 * answer, so half of the round trip is the most that the difference can be wrong by: a round takes
 * the quickest of a few looks, and stops at the first that is quick enough. What the clock is wrong
 * by is sent as a difference, which loses nothing on its way.
 *
 * A guest that was stopped (SIGSTOP of the VMM) answers the look that has been pending when it goes
 * on; that round trip is long, so the round looks again, and mends the clock.
 */

#define NS_PER_S     1000000000LL
#define NS_PER_MS    1000000LL
#define QUICK_NS     (2 * NS_PER_MS) /* a round trip that is not worth a second look */
#define LOOKS_MAX    5
#define TOLERATED_NS (1 * NS_PER_MS)
#define STEPPED_NS   (20 * NS_PER_MS) /* more is mended at once, less by and by */
#define RETRY_S      1.0
#define FAR_FUTURE_S 4102444800LL /* the year 2100 */

struct look {
	int64_t round_trip;
	int64_t ahead; /* the guest, of the host */
};

struct guest_clock {
	struct ev_loop *loop;
	struct agent *agent;
	struct agent_call *pending;
	double interval_s;
	int64_t asked; /* CLOCK_MONOTONIC */
	struct look best;
	unsigned int looks; /* of this round */
	bool again;         /* the host's clock has jumped during this round */
	bool failing;
	ev_timer rest;   /* until the next round */
	ev_io jump;      /* of a timer that the kernel cancels when the host's clock is set */
	done_fn *on_set; /* NULL: it has been called */
	void *ctx;
};

static int64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int look(struct guest_clock *clock, struct error *err);

static void schedule_round(struct guest_clock *clock, double seconds)
{
	ev_now_update(clock->loop);
	ev_timer_set(&clock->rest, clock->again ? 0 : seconds, 0);
	ev_timer_start(clock->loop, &clock->rest);
	clock->again = false;
}

/* A round has ended. Its last act is the callback. */
static void end_round(struct guest_clock *clock, const struct error *err)
{
	done_fn *on_set = clock->on_set;

	if (err && !clock->failing && !on_set)
		log_warn("cannot adjust the guest's clock: %s", err->text);
	clock->failing = err;
	clock->looks = 0;
	clock->on_set = NULL;
	if (!agent_is_lost(clock->agent) && !(on_set && err))
		schedule_round(clock, err ? RETRY_S : clock->interval_s);
	if (on_set)
		on_set(clock->ctx, err);
}

static void on_adjusted(void *ctx, const struct error *err)
{
	struct guest_clock *clock = ctx;

	clock->pending = NULL;
	end_round(clock, err);
}

/* The first round sets it as exactly as it can; a later one changes what it is sure about. */
static void adjust_clock(struct guest_clock *clock)
{
	int64_t by = -clock->best.ahead;
	int64_t wrong = llabs(by);
	int64_t unsure = clock->best.round_trip / 2;
	bool slew = !clock->on_set && wrong < STEPPED_NS;
	struct error err;

	if (!clock->on_set && (wrong < TOLERATED_NS || wrong <= unsure)) {
		end_round(clock, NULL);
		return;
	}
	log_debug("guest's clock ahead_us=%lld round_trip_us=%lld looks=%u slew=%d",
	          (long long)clock->best.ahead / 1000, (long long)clock->best.round_trip / 1000,
	          clock->looks, slew);
	if (agent_shift_time(clock->agent, by, slew, on_adjusted, clock, &clock->pending, &err) < 0)
		end_round(clock, &err);
}

static void on_time(void *ctx, int64_t ns, const struct error *err)
{
	struct guest_clock *clock = ctx;
	struct look one = { .round_trip = now_ns(CLOCK_MONOTONIC) - clock->asked };
	int64_t host = now_ns(CLOCK_REALTIME) - one.round_trip / 2;
	struct error own;

	clock->pending = NULL;
	if (err) {
		end_round(clock, err);
		return;
	}
	if (ns < 0 || host < 0) { /* any other difference of two such fits */
		error_set(&own, ERROR_INTERNAL, "the guest's clock shows a time before 1970");
		end_round(clock, &own);
		return;
	}
	one.ahead = ns - host;
	if (clock->looks++ == 0 || one.round_trip < clock->best.round_trip)
		clock->best = one;
	if (clock->best.round_trip <= QUICK_NS || clock->looks == LOOKS_MAX)
		adjust_clock(clock);
	else if (look(clock, &own) < 0)
		end_round(clock, &own);
}

static int look(struct guest_clock *clock, struct error *err)
{
	clock->asked = now_ns(CLOCK_MONOTONIC);
	return agent_get_time(clock->agent, on_time, clock, &clock->pending, err);
}

static void on_round_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct guest_clock *clock = timer->data;
	struct error err;

	if (look(clock, &err) < 0)
		end_round(clock, &err);
}

static int arm_jump_timer(int fd)
{
	const struct itimerspec never = { .it_value.tv_sec = FAR_FUTURE_S };

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

/* ECANCELED: the clock was set, or the host has come back from a suspension. */
static void on_jump(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct guest_clock *clock = watcher->data;
	uint64_t times;

	if (read(watcher->fd, &times, sizeof(times)) < 0 && errno == EAGAIN)
		return;
	arm_jump_timer(watcher->fd);
	clock->again = true;
	if (ev_is_active(&clock->rest)) {
		ev_timer_stop(loop, &clock->rest);
		schedule_round(clock, 0);
	}
}

static void watch_jumps(struct guest_clock *clock)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0 || arm_jump_timer(fd) < 0) {
		log_warn("a jump of the host's clock reaches the guest late cause=\"timerfd: %s\"",
		         strerror(errno));
		cleanup_close(&fd);
		return;
	}
	ev_io_set(&clock->jump, fd, EV_READ);
	ev_io_start(clock->loop, &clock->jump);
}

/* Of an agent that knows no more: @on_set, and that is all. */
static void on_time_set(void *ctx, const struct error *err)
{
	struct guest_clock *clock = ctx;

	clock->pending = NULL;
	clock->on_set(clock->ctx, err);
}

int guest_clock_start(struct ev_loop *loop, struct agent *agent, unsigned int features,
                      int interval_ms, done_fn *on_set, void *ctx, struct guest_clock **out,
                      struct error *err)
{
	struct guest_clock *clock = mem_new(struct guest_clock);
	int r;

	clock->loop = loop;
	clock->agent = agent;
	clock->interval_s = interval_ms / 1e3;
	clock->on_set = on_set;
	clock->ctx = ctx;
	ev_timer_init(&clock->rest, on_round_due, 0, 0);
	ev_io_init(&clock->jump, on_jump, -1, EV_READ);
	clock->rest.data = clock->jump.data = clock;
	if (features & FEATURE_CLOCK)
		r = look(clock, err);
	else
		r = agent_set_time(agent, now_ns(CLOCK_REALTIME), on_time_set, clock,
		                   &clock->pending, err);
	if (r < 0) {
		free(clock);
		return r;
	}
	if (features & FEATURE_CLOCK)
		watch_jumps(clock);
	*out = clock;
	return 0;
}

void guest_clock_destroy(struct guest_clock *clock)
{
	if (!clock)
		return;
	agent_forget(clock->pending);
	ev_timer_stop(clock->loop, &clock->rest);
	ev_io_stop(clock->loop, &clock->jump);
	cleanup_close(&clock->jump.fd);
	free(clock);
}
