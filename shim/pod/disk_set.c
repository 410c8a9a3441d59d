#include "shim/pod/disk_set.h"

#include <assert.h>
#include <stdlib.h>

#include "common/loop/errand.h"
#include "common/mem.h"
#include "shim/pod/disks.h"
#include "shim/storage/disk_source.h"

struct member {
	struct disk_source source;
	struct disk_use use;
};

struct disk_set {
	struct ev_loop *loop;
	int open_timeout_ms;
	struct member *all[DISK_SET_MAX];
	size_t n;
	struct disks *disks;   /* once they are plugged */
	size_t at;             /* the disk that is opened, plugged or unplugged now */
	struct errand *errand; /* opens it */
	struct error cause;    /* of a plug that is undone; ERROR_NONE: it is not */
	struct error failure;  /* of an unplug */
	done_fn *done;
	void *ctx;
};

static void plug_next(struct disk_set *set);
static void unplug_next(struct disk_set *set);

/* A disk has not come: the others go. */
static void undo(struct disk_set *set, const struct error *err)
{
	error_copy(&set->cause, err);
	unplug_next(set);
}

struct disk_set *disk_set_create(struct ev_loop *loop, int open_timeout_ms)
{
	struct disk_set *set = mem_new(struct disk_set);

	set->loop = loop;
	set->open_timeout_ms = open_timeout_ms;
	return set;
}

void disk_set_destroy(struct disk_set *set)
{
	if (!set)
		return;
	errand_destroy(set->errand);
	for (size_t i = 0; i < set->n; i++) {
		disk_use_forget(&set->all[i]->use);
		free((char *)set->all[i]->source.path);
		free(set->all[i]);
	}
	free(set);
}

int disk_set_add(struct disk_set *set, const struct disk_source *source, struct error *err)
{
	struct member *member;

	assert(!set->disks);
	if (set->n == DISK_SET_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %d disks", DISK_SET_MAX);
	member = mem_new(struct member);
	member->source = *source;
	member->source.path = source->path ? mem_strdup(source->path) : NULL;
	set->all[set->n++] = member;
	return (int)set->n - 1;
}

size_t disk_set_size(const struct disk_set *set)
{
	return set->n;
}

static int open_in_child(void *ctx, struct errand_result *result, struct error *err)
{
	const struct disk_set *set = ctx;
	int fd = disk_source_open(&set->all[set->at]->source, err);

	if (fd < 0)
		return fd;
	result->fds[result->nfds++] = fd;
	return 0;
}

static void on_plugged(void *ctx, const struct error *err)
{
	struct disk_set *set = ctx;

	if (err) {
		undo(set, err);
		return;
	}
	set->at++;
	plug_next(set);
}

static void on_opened(void *ctx, const struct error *err)
{
	struct disk_set *set = ctx;
	autoclose int fd = -1;
	struct error cause;

	if (err)
		error_copy(&cause, err);
	else
		fd = take_fd(&errand_result(set->errand)->fds[0]);
	errand_destroy(take_ptr(&set->errand));
	if (err)
		undo(set, &cause);
	else
		disks_plug(set->disks, fd, &set->all[set->at]->use, on_plugged, set);
}

/* Its last act may be the callback. */
static void plug_next(struct disk_set *set)
{
	struct error err;

	if (set->at == set->n)
		set->done(set->ctx, NULL);
	else if (errand_start(set->loop, open_in_child, set, set->open_timeout_ms, on_opened, set,
	                      &set->errand, &err) < 0)
		undo(set, &err);
}

void disk_set_plug(struct disk_set *set, struct disks *disks, done_fn *done, void *ctx)
{
	set->disks = disks;
	set->cause.code = set->failure.code = ERROR_NONE;
	set->at = 0;
	set->done = done;
	set->ctx = ctx;
	plug_next(set);
}

const char *disk_set_path(const struct disk_set *set, size_t number)
{
	return disk_use_path(&set->all[number]->use);
}

static void on_unplugged(void *ctx, const struct error *err)
{
	struct disk_set *set = ctx;

	if (err)
		error_copy(&set->failure, err);
	unplug_next(set);
}

/* Its last act may be the callback. */
static void unplug_next(struct disk_set *set)
{
	while (set->at > 0) {
		struct disk_use *use = &set->all[--set->at]->use;

		if (use->state != DISK_USE_HELD) {
			disk_use_forget(use);
			continue;
		}
		disks_unplug(use, on_unplugged, set);
		return;
	}
	if (set->cause.code)
		set->done(set->ctx, &set->cause);
	else
		set->done(set->ctx, set->failure.code ? &set->failure : NULL);
}

void disk_set_unplug(struct disk_set *set, done_fn *done, void *ctx)
{
	errand_destroy(take_ptr(&set->errand));
	set->cause.code = set->failure.code = ERROR_NONE;
	set->at = set->n;
	set->done = done;
	set->ctx = ctx;
	unplug_next(set);
}
