#include "shim/host/bundle_watch.h"

#include <errno.h>
#include <ev.h>
#include <unistd.h>

#include "common/mem.h"

struct bundle_watch {
	struct ev_loop *loop;
	ev_timer look;
	char *dir;
	void (*on_gone)(void *ctx);
	void *ctx;
};

static void on_check(struct ev_loop *loop, ev_timer *look, int events)
{
	struct bundle_watch *watch = look->data;

	if (access(watch->dir, F_OK) == 0 || errno != ENOENT)
		return;
	ev_timer_stop(loop, look);
	watch->on_gone(watch->ctx);
}

struct bundle_watch *bundle_watch_create(struct ev_loop *loop, const char *dir, int interval_ms,
                                         void (*on_gone)(void *ctx), void *ctx)
{
	struct bundle_watch *watch = mem_new(struct bundle_watch);

	watch->loop = loop;
	watch->dir = mem_strdup(dir);
	watch->on_gone = on_gone;
	watch->ctx = ctx;
	ev_timer_init(&watch->look, on_check, interval_ms / 1e3, interval_ms / 1e3);
	watch->look.data = watch;
	ev_timer_start(loop, &watch->look);
	return watch;
}

void bundle_watch_destroy(struct bundle_watch *watch)
{
	if (!watch)
		return;
	ev_timer_stop(watch->loop, &watch->look);
	free(watch->dir);
	free(watch);
}
