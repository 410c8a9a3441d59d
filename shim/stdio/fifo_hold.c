#include "shim/stdio/fifo_hold.h"

#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/mem.h"

#define LOOK_FIRST_S 0.001
#define LOOK_MOST_S  0.032
#define HELD_MOST_S  2.0 /* as long as runc's shim waits for output */

/* Nothing wakes a writer when its FIFO has become empty: it is looked at, more and more rarely. */
struct fifo_hold {
	struct ev_loop *loop;
	int fd;
	ev_timer look;
	ev_tstamp pause;
	ev_tstamp ended;
	void (*done)(void *ctx);
	void *ctx;
};

static bool has_bytes(const struct fifo_hold *hold)
{
	int bytes = 0;

	return ioctl(hold->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

static void close_end(struct fifo_hold *hold)
{
	ev_timer_stop(hold->loop, &hold->look);
	if (hold->fd >= 0)
		close(hold->fd);
	hold->fd = -1;
}

static void look(struct fifo_hold *hold)
{
	if (has_bytes(hold) && ev_now(hold->loop) - hold->ended < HELD_MOST_S) {
		ev_timer_set(&hold->look, hold->pause, 0);
		ev_timer_start(hold->loop, &hold->look);
		if (hold->pause < LOOK_MOST_S)
			hold->pause *= 2;
		return;
	}
	close_end(hold);
	hold->done(hold->ctx);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	look(timer->data);
}

struct fifo_hold *fifo_hold_create(struct ev_loop *loop, int fd)
{
	struct fifo_hold *hold = mem_new(struct fifo_hold);

	hold->loop = loop;
	hold->fd = fd;
	hold->pause = LOOK_FIRST_S;
	ev_timer_init(&hold->look, on_look, 0, 0);
	hold->look.data = hold;
	return hold;
}

void fifo_hold_end(struct fifo_hold *hold, void (*done)(void *ctx), void *ctx)
{
	hold->done = done;
	hold->ctx = ctx;
	ev_now_update(hold->loop);
	hold->ended = ev_now(hold->loop);
	look(hold);
}

void fifo_hold_destroy(struct fifo_hold *hold)
{
	if (!hold)
		return;
	close_end(hold);
	free(hold);
}
