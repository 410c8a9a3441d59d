#include "agent/guest/stale_paths.h"

#include <ev.h>
#include <fcntl.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/mem.h"

#define LOOK_TIMEOUT_MS 10000

struct stale {
	STAILQ_ENTRY(stale) link;
	char *path;
};

STAILQ_HEAD(stale_list, stale);

struct stale_paths {
	struct ev_loop *loop;
	stale_path_fn *look;
	ev_timer timer;          /* while one waits and none is looked up */
	struct stale_list young; /* added since the timer was started */
	struct stale_list old;   /* before that: due when it ends */
	struct stale_list due;   /* the errand's */
	unsigned int n;          /* young and old */
	struct errand *errand;   /* NULL: none is under way */
};

void stale_path_look_up(const char *path)
{
	struct stat st;

	(void)!fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
}

static void drop_first(struct stale_list *list)
{
	struct stale *stale = STAILQ_FIRST(list);

	STAILQ_REMOVE_HEAD(list, link);
	free(stale->path);
	free(stale);
}

static void drop_all(struct stale_list *list)
{
	while (!STAILQ_EMPTY(list))
		drop_first(list);
}

static void wait_for_next(struct stale_paths *paths)
{
	if (paths->n && !paths->errand && !ev_is_active(&paths->timer))
		ev_timer_again(paths->loop, &paths->timer);
}

static int look_up_due(void *ctx, struct errand_result *result, struct error *err)
{
	const struct stale_paths *paths = ctx;
	const struct stale *stale;

	for (stale = STAILQ_FIRST(&paths->due); stale; stale = STAILQ_NEXT(stale, link))
		paths->look(stale->path);
	return 0;
}

static void on_looked_up(void *ctx, const struct error *err)
{
	struct stale_paths *paths = ctx;

	if (err)
		log_debug("cannot look up paths that were removed: %s", err->text);
	errand_destroy(take_ptr(&paths->errand));
	drop_all(&paths->due);
	wait_for_next(paths);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct stale_paths *paths = timer->data;
	const struct stale *stale;
	struct error err;

	ev_timer_stop(loop, timer);
	for (stale = STAILQ_FIRST(&paths->old); stale; stale = STAILQ_NEXT(stale, link))
		paths->n--;
	STAILQ_CONCAT(&paths->due, &paths->old);
	STAILQ_CONCAT(&paths->old, &paths->young);
	if (!STAILQ_EMPTY(&paths->due) &&
	    errand_start(loop, look_up_due, paths, LOOK_TIMEOUT_MS, on_looked_up, paths,
	                 &paths->errand, &err) < 0)
		on_looked_up(paths, &err);
	wait_for_next(paths);
}

struct stale_paths *stale_paths_create(struct ev_loop *loop, double delay_s, stale_path_fn *look)
{
	struct stale_paths *paths = mem_new(struct stale_paths);

	paths->loop = loop;
	paths->look = look;
	STAILQ_INIT(&paths->young);
	STAILQ_INIT(&paths->old);
	STAILQ_INIT(&paths->due);
	ev_timer_init(&paths->timer, on_timer, 0, delay_s);
	paths->timer.data = paths;
	return paths;
}

void stale_paths_destroy(struct stale_paths *paths)
{
	if (!paths)
		return;
	ev_timer_stop(paths->loop, &paths->timer);
	errand_destroy(paths->errand);
	drop_all(&paths->young);
	drop_all(&paths->old);
	drop_all(&paths->due);
	free(paths);
}

void stale_paths_add(struct stale_paths *paths, const char *path)
{
	struct stale *stale = mem_new(struct stale);

	if (paths->n == STALE_PATHS_MAX) {
		drop_first(STAILQ_EMPTY(&paths->old) ? &paths->young : &paths->old);
		paths->n--;
	}
	stale->path = mem_strdup(path);
	STAILQ_INSERT_TAIL(&paths->young, stale, link);
	paths->n++;
	wait_for_next(paths);
}
