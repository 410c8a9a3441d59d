#include "fake_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/mem.h"
#include "shim/host/placeholder.h"

struct placeholder {
	LIST_ENTRY(placeholder) link;
	pid_t pid;
	bool started;
	bool ending;
	bool gone;
	done_fn *on_started;
	void *started_ctx;
	placeholder_ended_fn *on_ended;
	void *ended_ctx;
	placeholder_lost_fn *on_lost;
	void *ctx;
};
static LIST_HEAD(placeholder_list, placeholder) placeholders;

static void placeholder_goes(struct placeholder *one)
{
	if (!one->gone)
		fake.placeholders--;
	one->gone = true;
	fake_forget_later(one);
}

static void placeholder_tell(struct placeholder *one)
{
	done_fn *done = take_ptr(&one->on_started);
	struct error err;

	error_set(&err, ERROR_UNAVAILABLE, "%s",
	          fake.placeholder_fails ? fake.placeholder_fails : "the placeholder was killed");
	if (done)
		done(one->started_ctx, one->gone ? &err : NULL);
}

static void placeholder_starts(void *arg)
{
	struct placeholder *one = arg;

	one->started = true;
	if (fake.placeholder_fails)
		placeholder_goes(one);
	placeholder_tell(one);
}

int placeholder_start(struct ev_loop *loop, const struct placeholder_config *config,
                      placeholder_lost_fn *on_lost, void *ctx, struct placeholder **out,
                      struct error *err)
{
	static pid_t next = FAKE_PID;
	struct placeholder *one = mem_new(struct placeholder);

	must(config->uid);
	fake_note("placeholder", config->title);
	snprintf(fake.placeholder_root, sizeof(fake.placeholder_root), "%s", config->root);
	one->pid = next++;
	one->on_lost = on_lost;
	one->ctx = ctx;
	LIST_INSERT_HEAD(&placeholders, one, link);
	fake.placeholders++;
	fake_do_later(placeholder_starts, one);
	*out = one;
	return 0;
}

pid_t placeholder_pid(const struct placeholder *one)
{
	return one->pid;
}

bool placeholder_is_gone(const struct placeholder *one)
{
	return one->gone;
}

void placeholder_await(struct placeholder *one, done_fn *done, void *ctx)
{
	one->on_started = done;
	one->started_ctx = ctx;
	if (one->started || one->gone)
		placeholder_tell(one);
}

static void placeholder_ends(void *arg)
{
	struct placeholder *one = arg;
	placeholder_ended_fn *ended = take_ptr(&one->on_ended);
	void *ctx = one->ended_ctx;

	placeholder_goes(one);
	fake_note("placeholder ended", "");
	placeholder_tell(one);
	if (ended)
		ended(ctx);
}

void placeholder_end(struct placeholder *one, placeholder_ended_fn *done, void *ctx)
{
	one->on_ended = done;
	one->ended_ctx = ctx;
	if (!one->ending && !one->gone && !fake.placeholders_linger)
		fake_do_later(placeholder_ends, one);
	one->ending = true;
	if (one->gone && done)
		done(ctx);
}

void placeholder_destroy(struct placeholder *one)
{
	if (!one)
		return;
	placeholder_goes(one);
	LIST_REMOVE(one, link);
	free(one);
}

void fake_kill_placeholder(uint32_t pid)
{
	struct placeholder *one = LIST_FIRST(&placeholders);

	while (one && one->pid != (pid_t)pid)
		one = LIST_NEXT(one, link);
	if (!one || one->gone || one->ending)
		return;
	placeholder_goes(one);
	if (one->on_started)
		placeholder_tell(one);
	else
		one->on_lost(one->ctx, 9);
}

void fake_reap(void)
{
	struct placeholder *one;

	fake.placeholders_linger = false;
	LIST_FOREACH (one, &placeholders, link)
		if (one->ending && !one->gone)
			fake_do_later(placeholder_ends, one);
}
