#include "agent/guest/storage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/queue.h>

#include "agent/base/mount_tree.h"
#include "agent/guest/storage_driver.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "proto/message.h"

/* What is made before the storage is mounted. */
enum {
	MADE_TREE,   /* the mount, attached nowhere */
	MADE_TARGET, /* the directory that it goes on */
	MADE_COUNT,
};

enum storage_state {       /* what is legal: */
	STORAGE_UNMOUNTED, /* it may be mounted; freed without references */
	STORAGE_MOUNTING,  /* sets wait; the child is killed when the last reference goes */
	STORAGE_MOUNTED, /* it is unmounted when the last reference goes, unless its driver's stay */
	STORAGE_UNMOUNTING, /* sets wait for it to be mounted once more */
};

struct storage {
	TAILQ_ENTRY(storage) link;
	struct storage_list *list;
	const struct storage_driver *driver;
	Grpc__Storage *wanted;
	ProtobufCBinaryData packed; /* @wanted, to be compared */
	unsigned int refs;          /* of sets */
	bool pinned;                /* in use on the stack: not to be freed */
	enum storage_state state;
	struct errand *errand;
	LIST_HEAD(, storage_set) waiting; /* for it to be mounted */
	struct storage_set *releaser;     /* waits for it to be unmounted; NULL: none */
};

struct storage_list {
	struct ev_loop *loop;
	const struct storage_driver *drivers;
	TAILQ_HEAD(, storage) all; /* the last that was mounted is the first */
};

struct storage_set {
	LIST_ENTRY(storage_set) link; /* while it waits for a mount */
	bool waits;
	struct storage *released; /* that it waits for; NULL: none */
	struct storage_list *list;
	struct storage **storages;
	size_t n;
	size_t at;            /* the storages before it are mounted */
	struct error failure; /* of a release */
	done_fn *done;
	void *ctx;
};

static void set_advance(struct storage_set *set);
static void set_release_next(struct storage_set *set);

struct storage_list *storage_list_create(struct ev_loop *loop, const struct storage_driver *drivers)
{
	struct storage_list *list = mem_new(struct storage_list);

	list->loop = loop;
	list->drivers = drivers;
	TAILQ_INIT(&list->all);
	return list;
}

static Grpc__Storage *unpack(const ProtobufCBinaryData *packed)
{
	ProtobufCMessage *message = NULL;
	int r;

	r = message_decode(&grpc__storage__descriptor, packed->data, packed->len, &message, NULL);
	assert(r == 0); /* they are our own bytes, of a message that came */
	return (Grpc__Storage *)message;
}

/* Takes @packed over. */
static struct storage *storage_new(struct storage_list *list, const struct storage_driver *driver,
                                   ProtobufCBinaryData packed)
{
	struct storage *storage = mem_new(struct storage);

	storage->list = list;
	storage->driver = driver;
	storage->packed = packed;
	storage->wanted = unpack(&packed);
	LIST_INIT(&storage->waiting);
	TAILQ_INSERT_HEAD(&list->all, storage, link);
	return storage;
}

static void storage_free(struct storage *storage)
{
	errand_destroy(storage->errand);
	TAILQ_REMOVE(&storage->list->all, storage, link);
	message_free(&storage->wanted->base);
	free(storage->packed.data);
	free(storage);
}

/* Frees what nothing needs. */
static void storage_settle(struct storage *storage)
{
	if (!storage->refs && !storage->pinned && storage->state == STORAGE_UNMOUNTED)
		storage_free(storage);
}

static struct storage *find(const struct storage_list *list, const char *mount_point)
{
	struct storage *storage;

	TAILQ_FOREACH (storage, &list->all, link)
		if (!strcmp(storage->wanted->mount_point, mount_point))
			break;
	return storage;
}

/* The storage of @wanted in the list, which may be new there. */
static int list_get(struct storage_list *list, const Grpc__Storage *wanted, struct storage **out,
                    struct error *err)
{
	const struct storage_driver *driver;
	ProtobufCBinaryData packed;
	struct storage *storage;
	bool same;
	int r;

	r = storage_driver_find(list->drivers, wanted, &driver, err);
	if (r < 0)
		return r;
	packed = message_encode(&wanted->base);
	storage = find(list, wanted->mount_point);
	if (!storage) {
		*out = storage_new(list, driver, packed);
		return 0;
	}
	same = storage->packed.len == packed.len &&
	       !memcmp(storage->packed.data, packed.data, packed.len);
	free(packed.data);
	if (!same)
		return error_set(err, ERROR_ALREADY_EXISTS,
		                 "\"%s\" is the mount point of another storage",
		                 wanted->mount_point);
	*out = storage;
	return 0;
}

static int make(const struct storage *storage, int made[MADE_COUNT], struct error *err)
{
	const char *place = storage->wanted->mount_point;
	int r = file_make_dirs(place, 0755, err);

	if (r < 0)
		return r;
	made[MADE_TARGET] = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (made[MADE_TARGET] < 0)
		return error_errno(err, "cannot open it");
	made[MADE_TREE] = storage->driver->make(storage->wanted, err);
	return made[MADE_TREE] < 0 ? made[MADE_TREE] : 0;
}

static int make_in_child(void *ctx, struct errand_result *result, struct error *err)
{
	int r = make(ctx, result->fds, err);

	if (r == 0)
		result->nfds = MADE_COUNT;
	return r;
}

static int attach(struct storage *storage, const int made[MADE_COUNT], struct error *err)
{
	if (mount_tree_attach(made[MADE_TREE], made[MADE_TARGET]) < 0)
		return error_errno(err, "cannot attach it");
	TAILQ_REMOVE(&storage->list->all, storage, link);
	TAILQ_INSERT_HEAD(&storage->list->all, storage, link);
	storage->state = STORAGE_MOUNTED;
	return 0;
}

/* The sets that wait for it go on, or fail. It may be gone then. */
static void wake(struct storage *storage, const struct error *err)
{
	enum storage_state state = storage->state;
	struct storage_set *set;

	storage->pinned = true;
	while (storage->state == state && (set = LIST_FIRST(&storage->waiting))) {
		LIST_REMOVE(set, link);
		set->waits = false;
		if (err)
			set->done(set->ctx, err);
		else
			set_advance(set);
	}
	storage->pinned = false;
	storage_settle(storage);
}

static int describe(const struct storage *storage, struct error *err)
{
	return error_wrap(err, "cannot mount %s \"%s\" on \"%s\"", storage->wanted->fstype,
	                  storage->wanted->source, storage->wanted->mount_point);
}

static int attach_result(struct storage *storage, struct error *err)
{
	const struct errand_result *result = errand_result(storage->errand);

	if (result->nfds != MADE_COUNT)
		return error_set(err, ERROR_INTERNAL, "a child process hands back no mount");
	return attach(storage, result->fds, err);
}

static void on_made(void *ctx, const struct error *cause)
{
	struct storage *storage = ctx;
	struct error err;
	bool failed = cause != NULL;

	storage->state = STORAGE_UNMOUNTED;
	if (failed)
		error_copy(&err, cause);
	else
		failed = attach_result(storage, &err) < 0;
	errand_destroy(take_ptr(&storage->errand));
	if (failed)
		describe(storage, &err);
	wake(storage, failed ? &err : NULL);
}

static int mount_now(struct storage *storage, struct error *err)
{
	int made[MADE_COUNT] = { -1, -1 };
	int r;

	r = make(storage, made, err);
	if (r == 0)
		r = attach(storage, made, err);
	cleanup_close(&made[MADE_TREE]);
	cleanup_close(&made[MADE_TARGET]);
	return r;
}

static int start_mounting(struct storage *storage, struct error *err)
{
	int r;

	r = errand_start(storage->list->loop, make_in_child, storage, storage->driver->timeout_ms,
	                 on_made, storage, &storage->errand, err);
	if (r == 0)
		storage->state = STORAGE_MOUNTING;
	return r;
}

/* It is mounted or being mounted then. */
static int storage_mount(struct storage *storage, struct error *err)
{
	int r;

	if (storage->driver->timeout_ms)
		r = start_mounting(storage, err);
	else
		r = mount_now(storage, err);
	return r < 0 ? describe(storage, err) : 0;
}

/* What is no mount point any more is unmounted: a teardown may have been before. */
static int unmount(const char *mount_point, struct error *err)
{
	if (umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
		return error_errno(err, "cannot unmount \"%s\"", mount_point);
	return 0;
}

/* In a child process. */
static int unmount_one(void *ctx, struct errand_result *result, struct error *err)
{
	const struct storage *storage = ctx;

	return unmount(storage->wanted->mount_point, err);
}

/* For the sets that came while it was being unmounted. It may be gone then. */
static void mount_again(struct storage *storage)
{
	bool failed = false;
	struct error err;

	if (storage->state == STORAGE_UNMOUNTED && !LIST_EMPTY(&storage->waiting))
		failed = storage_mount(storage, &err) < 0;
	if (failed || storage->state == STORAGE_MOUNTED)
		wake(storage, failed ? &err : NULL);
	else
		storage_settle(storage);
}

/* Its set goes on, and may claim it once more. */
static void end_release(struct storage *storage, const struct error *err)
{
	struct storage_set *set = take_ptr(&storage->releaser);

	set->released = NULL;
	if (err)
		error_copy(&set->failure, err);
	set_release_next(set);
}

/* One that cannot be unmounted is forgotten. */
static void on_unmounted(void *ctx, const struct error *err)
{
	struct storage *storage = ctx;

	errand_destroy(take_ptr(&storage->errand));
	storage->state = STORAGE_UNMOUNTED;
	storage->pinned = true;
	if (storage->releaser)
		end_release(storage, err);
	else if (err)
		log_warn("a storage stays mounted cause=\"%s\"", err->text);
	storage->pinned = false;
	mount_again(storage);
}

/* The set gives its reference back. True: it waits for the storage to be unmounted. */
static bool storage_release(struct storage *storage, struct storage_set *set)
{
	if (--storage->refs > 0)
		return false;
	if (storage->state == STORAGE_MOUNTING) {
		errand_destroy(take_ptr(&storage->errand));
		storage->state = STORAGE_UNMOUNTED;
	}
	if (storage->state == STORAGE_MOUNTED && !storage->driver->stays) {
		if (errand_start(storage->list->loop, unmount_one, storage,
		                 STORAGE_UNMOUNT_TIMEOUT_MS, on_unmounted, storage,
		                 &storage->errand, &set->failure) == 0) {
			storage->state = STORAGE_UNMOUNTING;
			storage->releaser = set;
			set->released = storage;
			return true;
		}
		storage->state = STORAGE_UNMOUNTED;
	}
	storage_settle(storage);
	return false;
}

int storage_list_unmount(const struct storage_list *list, struct error *err)
{
	const struct storage *storage;
	int r = 0;

	TAILQ_FOREACH (storage, &list->all, link)
		if (storage->state >= STORAGE_MOUNTED &&
		    unmount(storage->wanted->mount_point, err) < 0)
			r = -1;
	return r;
}

void storage_list_destroy(struct storage_list *list)
{
	struct storage *next;
	struct error err;

	if (!list)
		return;
	if (storage_list_unmount(list, &err) < 0)
		log_warn("a storage stays mounted cause=\"%s\"", err.text);
	for (struct storage *storage = TAILQ_FIRST(&list->all); storage; storage = next) {
		next = TAILQ_NEXT(storage, link);
		storage_free(storage);
	}
	free(list);
}

struct storage_set *storage_set_create(struct storage_list *list)
{
	struct storage_set *set = mem_new(struct storage_set);

	set->list = list;
	return set;
}

void storage_set_destroy(struct storage_set *set)
{
	if (!set)
		return;
	storage_set_cancel(set);
	if (set->released)
		set->released->releaser = NULL;
	free(set->storages);
	free(set);
}

/* Nothing of it is mounted. */
static void unclaim(struct storage_set *set)
{
	while (set->n > 0)
		storage_release(set->storages[--set->n], set);
	free(take_ptr(&set->storages));
}

int storage_set_claim(struct storage_set *set, Grpc__Storage *const *storages, size_t n,
                      struct error *err)
{
	assert(set->n == 0);
	free(set->storages);
	set->storages = mem_alloc((n + 1) * sizeof(struct storage *));
	for (size_t i = 0; i < n; i++) {
		if (list_get(set->list, storages[i], &set->storages[i], err) < 0) {
			unclaim(set);
			return error_wrap(err, "storages[%zu]", i);
		}
		set->storages[i]->refs++;
		set->n++;
	}
	return 0;
}

/* Its last act is @done. */
static void set_advance(struct storage_set *set)
{
	struct error err;

	for (; set->at < set->n; set->at++) {
		struct storage *storage = set->storages[set->at];

		if (storage->state == STORAGE_UNMOUNTED && storage_mount(storage, &err) < 0) {
			set->done(set->ctx, &err);
			return;
		}
		if (storage->state == STORAGE_MOUNTED)
			continue;
		LIST_INSERT_HEAD(&storage->waiting, set, link);
		set->waits = true;
		return;
	}
	set->done(set->ctx, NULL);
}

void storage_set_mount(struct storage_set *set, done_fn *done, void *ctx)
{
	set->at = 0;
	set->done = done;
	set->ctx = ctx;
	set_advance(set);
}

void storage_set_cancel(struct storage_set *set)
{
	if (set->waits)
		LIST_REMOVE(set, link);
	set->waits = false;
}

/* Its last act is @done. */
static void set_release_next(struct storage_set *set)
{
	while (set->n > 0)
		if (storage_release(set->storages[--set->n], set))
			return;
	set->done(set->ctx, set->failure.code ? &set->failure : NULL);
}

void storage_set_release(struct storage_set *set, done_fn *done, void *ctx)
{
	set->failure.code = ERROR_NONE;
	set->done = done;
	set->ctx = ctx;
	set_release_next(set);
}
