#include "shim/storage/volume_copies.h"

#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/file.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "shim/storage/generations.h"

#define POLL_S          0.5
#define COPY_TIMEOUT_MS 10000
#define DIR_MODE        0755

#define SETTLED_S 0.1 /* longer than two changes may have one change time */

struct copy {
	LIST_ENTRY(copy) link;
	uint64_t place;
	char *source;
	struct timespec seen; /* the source's change time when it was copied last */
	bool is_due;
};

struct volume_copies {
	struct ev_loop *loop;
	char *dir;
	LIST_HEAD(copy_list, copy) list;
	ev_timer timer; /* while there are any, and no errand */
	struct errand *errand;
	bool is_failing; /* and it has been told */
};

/* In the paths of a kubelet's volumes of these kinds, which no container can write. */
static const char *const kinds[] = {
	"/kubernetes.io~configmap/",
	"/kubernetes.io~secret/",
	"/kubernetes.io~projected/",
	"/kubernetes.io~downward-api/",
};

static bool is_of_a_kind(const char *path)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strstr(path, kinds[i]))
			return true;
	return false;
}

static char *path_of(const struct volume_copies *copies, uint64_t place)
{
	return mem_printf("%s/%" PRIu64, copies->dir, place);
}

static int open_dir(const char *path)
{
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Its change time; {0}, which no directory has, while another change may get the same. */
static struct timespec settled_time(const struct stat *st)
{
	struct timespec now;
	double age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = (double)(now.tv_sec - st->st_ctim.tv_sec) +
	      (double)(now.tv_nsec - st->st_ctim.tv_nsec) / 1e9;
	return age > SETTLED_S ? st->st_ctim : (struct timespec){ 0 };
}

int volume_copies_make(const struct volume_copies *copies, uint64_t place, const char *source,
                       int fd, struct timespec *seen)
{
	autofree char *path = NULL;
	autoclose int to = -1;
	struct stat st;

	if (!is_of_a_kind(source) || !generations_are_in(fd) || fstat(fd, &st) < 0)
		return -1;
	*seen = settled_time(&st);
	path = path_of(copies, place);
	if (mkdir(path, DIR_MODE) < 0)
		return -1;
	to = open_dir(path);
	if (to < 0 || generations_copy(fd, to, NULL) < 0) {
		file_remove_tree(AT_FDCWD, path, NULL);
		return -1;
	}
	return take_fd(&to);
}

void volume_copies_remove(const struct volume_copies *copies, uint64_t place)
{
	autofree char *path = path_of(copies, place);

	file_remove_tree(AT_FDCWD, path, NULL);
}

/* In a child: @ctx has the copies that are due. */
static int copy_due(void *ctx, struct errand_result *result, struct error *err)
{
	const struct volume_copies *copies = ctx;
	int r = 0;

	for (const struct copy *copy = LIST_FIRST(&copies->list); copy;
	     copy = LIST_NEXT(copy, link)) {
		autofree char *path = path_of(copies, copy->place);
		autoclose int from = copy->is_due ? open_dir(copy->source) : -1;
		autoclose int to = from < 0 ? -1 : open_dir(path);

		if (to >= 0 && generations_copy(from, to, err) < 0)
			r = error_wrap(err, "\"%s\"", copy->source);
	}
	return r;
}

static void wait_for_next(struct volume_copies *copies)
{
	if (LIST_EMPTY(&copies->list))
		ev_timer_stop(copies->loop, &copies->timer);
	else if (!copies->errand)
		ev_timer_again(copies->loop, &copies->timer);
}

static void look_again(struct volume_copies *copies)
{
	struct copy *copy;

	LIST_FOREACH (copy, &copies->list, link)
		if (copy->is_due)
			copy->seen = (struct timespec){ 0 };
}

static void on_copied(void *ctx, const struct error *err)
{
	struct volume_copies *copies = ctx;

	if (err && !copies->is_failing)
		log_warn("bring volumes of the guest up to date: %s", err->text);
	copies->is_failing = err;
	if (err)
		look_again(copies);
	errand_destroy(take_ptr(&copies->errand));
	wait_for_next(copies);
}

/* One that has gone (the pod ends) stays as it is. */
static bool has_changed(struct copy *copy)
{
	struct stat st;

	if (stat(copy->source, &st) < 0 ||
	    (st.st_ctim.tv_sec == copy->seen.tv_sec && st.st_ctim.tv_nsec == copy->seen.tv_nsec))
		return false;
	copy->seen = settled_time(&st);
	return true;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct volume_copies *copies = timer->data;
	struct error err;
	bool any = false;

	for (struct copy *copy = LIST_FIRST(&copies->list); copy; copy = LIST_NEXT(copy, link)) {
		copy->is_due = has_changed(copy);
		any |= copy->is_due;
	}
	if (!any)
		return;
	ev_timer_stop(loop, timer);
	if (errand_start(loop, copy_due, copies, COPY_TIMEOUT_MS, on_copied, copies,
	                 &copies->errand, &err) < 0)
		on_copied(copies, &err);
}

struct volume_copies *volume_copies_create(struct ev_loop *loop, const char *dir)
{
	struct volume_copies *copies = mem_new(struct volume_copies);

	copies->loop = loop;
	copies->dir = mem_strdup(dir);
	LIST_INIT(&copies->list);
	ev_timer_init(&copies->timer, on_timer, 0, POLL_S);
	copies->timer.data = copies;
	return copies;
}

static struct copy *find(const struct volume_copies *copies, uint64_t place)
{
	struct copy *copy;

	LIST_FOREACH (copy, &copies->list, link)
		if (copy->place == place)
			return copy;
	return NULL;
}

void volume_copies_follow(struct volume_copies *copies, uint64_t place, const char *source,
                          const struct timespec *seen)
{
	struct copy *copy = find(copies, place);

	if (copy)
		return;
	copy = mem_new(struct copy);
	copy->place = place;
	copy->source = mem_strdup(source);
	copy->seen = *seen;
	LIST_INSERT_HEAD(&copies->list, copy, link);
	if (!ev_is_active(&copies->timer))
		wait_for_next(copies);
}

static void drop(struct copy *copy)
{
	LIST_REMOVE(copy, link);
	free(copy->source);
	free(copy);
}

void volume_copies_forget(struct volume_copies *copies, uint64_t place)
{
	struct copy *copy = find(copies, place);

	if (!copy)
		return;
	drop(copy);
	wait_for_next(copies);
}

void volume_copies_destroy(struct volume_copies *copies)
{
	struct copy *copy;

	if (!copies)
		return;
	ev_timer_stop(copies->loop, &copies->timer);
	errand_destroy(copies->errand);
	while ((copy = LIST_FIRST(&copies->list)))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() moves the head */
		drop(copy);
	free(copies->dir);
	free(copies);
}
