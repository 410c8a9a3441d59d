#include "agent/guest/disk_wait.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>

#include "agent/guest/uevent.h"
#include "common/mem.h"

struct awaited {
	char *path;
	struct block_device device;
};

struct disk_wait {
	struct disk_wait_config config;
	struct awaited *all;
	size_t n;
	size_t n_found; /* the first ones */
	struct uevent_subscriber changes;
	ev_timer deadline;
	bool waits;
	done_fn *done;
	void *ctx;
};

/* 0: all are there; -ENOENT: @err names one that is not. */
static int look(struct disk_wait *wait, struct error *err)
{
	for (; wait->n_found < wait->n; wait->n_found++) {
		struct awaited *next = &wait->all[wait->n_found];
		int r = block_device_find(wait->config.root, next->path, &next->device, err);

		if (r < 0)
			return r;
	}
	return 0;
}

void disk_wait_cancel(struct disk_wait *wait)
{
	if (!wait->waits)
		return;
	wait->waits = false;
	uevents_leave(&wait->changes);
	ev_timer_stop(wait->config.loop, &wait->deadline);
}

/* Its last act is the callback. */
static void finish(struct disk_wait *wait, const struct error *err)
{
	disk_wait_cancel(wait);
	wait->done(wait->ctx, err);
}

static void on_change(void *ctx)
{
	struct disk_wait *wait = ctx;
	struct error err;
	int r = look(wait, &err);

	if (r != -ENOENT)
		finish(wait, r < 0 ? &err : NULL);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct disk_wait *wait = timer->data;
	struct error err;
	int r = look(wait, &err);

	if (r == -ENOENT) {
		err.code = ERROR_DEADLINE_EXCEEDED;
		error_wrap(&err, "waited %d ms", wait->config.timeout_ms);
	}
	finish(wait, r < 0 ? &err : NULL);
}

struct disk_wait *disk_wait_create(const struct disk_wait_config *config)
{
	struct disk_wait *wait = mem_new(struct disk_wait);

	wait->config = *config;
	wait->changes.on_change = on_change;
	wait->changes.ctx = wait;
	ev_timer_init(&wait->deadline, on_deadline, config->timeout_ms / 1e3, 0);
	wait->deadline.data = wait;
	return wait;
}

void disk_wait_destroy(struct disk_wait *wait)
{
	if (!wait)
		return;
	disk_wait_cancel(wait);
	for (size_t i = 0; i < wait->n; i++)
		free(wait->all[i].path);
	free(wait->all);
	free(wait);
}

size_t disk_wait_add(struct disk_wait *wait, const char *path)
{
	wait->all = mem_realloc(wait->all, (wait->n + 1) * sizeof(*wait->all));
	wait->all[wait->n] = (struct awaited){ .path = mem_strdup(path) };
	return wait->n++;
}

void disk_wait_start(struct disk_wait *wait, done_fn *done, void *ctx)
{
	struct error err;
	int r = look(wait, &err);

	wait->done = done;
	wait->ctx = ctx;
	if (r != -ENOENT) {
		done(ctx, r < 0 ? &err : NULL);
		return;
	}
	wait->waits = true;
	uevents_subscribe(wait->config.uevents, &wait->changes);
	ev_timer_start(wait->config.loop, &wait->deadline);
}

const struct block_device *disk_wait_found(const struct disk_wait *wait, size_t number)
{
	return &wait->all[number].device;
}
