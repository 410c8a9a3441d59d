#include "shim/storage/volumes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "proto/features.h"
#include "proto/guest_dirs.h"
#include "shim/spec/guest_paths.h"
#include "shim/spec/guest_spec.h"
#include "shim/storage/bind_mount.h"
#include "shim/storage/device_volume.h"
#include "shim/storage/memory_volume.h"
#include "shim/storage/mount_point.h"
#include "shim/storage/volume_copies.h"
#include "shim/storage/volume_identity.h"
#include "shim/storage/volume_table.h"

#define DIR_MODE 0755
#define NAME_LEN 24

#define STORAGE_OPTIONS 4  /* of a volume in memory */
#define IN_MEMORY_MAX   64 /* volumes of a container */

struct volume {
	size_t number; /* of the mount in the spec */
	char *source;
	char *destination; /* for error texts */
	struct bind_mount_options options;
	bool is_on_root; /* mount_point_is_of_root() */
	uint64_t place;  /* once it is in use */
	struct memory_volume memory;
	bool is_device;
	struct device_volume device;
	Grpc__Storage storage; /* volumes_name() */
	char *storage_options[STORAGE_OPTIONS];
};

/* What a child has made of a volume: they come in the order of the volumes. Each that is in memory is
 * followed by its memory_volume. */
struct outcome {
	uint64_t place;
	struct volume_identity what;
	bool is_in_memory;
	bool is_device;
	bool is_copy; /* volume_copies.h */
	struct device_volume device;
	struct timespec seen; /* then */
};

_Static_assert(VOLUMES_MAX * sizeof(struct outcome) +
                               IN_MEMORY_MAX * sizeof(struct memory_volume) <=
                       ERRAND_BYTES_MAX,
               "a child tells of all");

struct volumes {
	size_t n;
	struct volume *all;
	struct volume_table *table;   /* from volumes_begin() on */
	struct volume_copies *copies; /* the same */
	uint64_t first;               /* of the places that the child may take */
	bool is_mounting, is_in_use;
	uint64_t *unused; /* places to unmount */
	size_t n_unused;
	Grpc__Storage **storages; /* those of the volumes that have one */
	size_t n_storages;
};

/* The later of two that contradict one another counts, as in runc. What is not here is the guest's
 * to do or to refuse. */
static void read_option(const char *option, struct bind_mount_options *out, bool *all)
{
	if (!strcmp(option, "ro"))
		out->read_only = true;
	else if (!strcmp(option, "rro"))
		*all = true;
	else if (!strcmp(option, "rw"))
		out->read_only = false;
	else if (!strcmp(option, "rrw"))
		*all = false;
	else if (!strcmp(option, "rbind"))
		out->recursive = true;
	else if (!strcmp(option, "slave") || !strcmp(option, "rslave"))
		out->follow = true;
	else if (!strcmp(option, "private") || !strcmp(option, "rprivate"))
		out->follow = false;
}

static int read_options(const Grpc__Mount *mount, size_t number, struct bind_mount_options *out,
                        struct error *err)
{
	bool all = false; /* read-only: the guest sees no difference */

	for (size_t i = 0; i < mount->n_options; i++) {
		const char *option = mount->options[i];

		if (!strcmp(option, "shared") || !strcmp(option, "rshared"))
			return error_set(err, ERROR_UNIMPLEMENTED,
			                 "mounts[%zu] \"%s\": option \"%s\": not supported; mounts "
			                 "made in the guest do not reach the host",
			                 number, mount->destination, option);
		read_option(option, out, &all);
	}
	out->read_only |= all;
	return 0;
}

static int take_one(Grpc__Mount *mount, size_t number, const char *bundle_dir,
                    struct volume *volume, struct error *err)
{
	int r = read_options(mount, number, &volume->options, err);

	if (r < 0)
		return r;
	if (!*mount->source)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "mounts[%zu] \"%s\": a bind without a source", number,
		                 mount->destination);
	volume->number = number;
	volume->destination = mem_strdup(mount->destination);
	if (mount->source[0] == '/')
		volume->source = mem_strdup(mount->source);
	else
		volume->source = mem_printf("%s/%s", bundle_dir, mount->source);
	free(mount->source);
	mount->source = mem_strdup(GUEST_VOLUMES "/"); /* volumes_name() adds the place */
	return 0;
}

/* Replaces the source of a mount of the pod's /dev/shm. */
static bool take_shm(Grpc__Mount *mount, const char *shm)
{
	if (!shm || strcmp(mount->source, shm) != 0)
		return false;
	free(mount->source);
	mount->source = mem_strdup(GUEST_SHM);
	return true;
}

int volumes_take(Grpc__Spec *spec, const char *bundle_dir, const char *shm, struct volumes **out,
                 struct error *err)
{
	autodestroy(volumes) struct volumes *volumes = mem_new(struct volumes);

	for (size_t i = 0; i < spec->n_mounts; i++) {
		int r;

		if (!guest_spec_is_bind(spec->mounts[i]) || take_shm(spec->mounts[i], shm))
			continue;
		if (volumes->n == VOLUMES_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "mounts[%zu] \"%s\": more than %d bind mounts", i,
			                 spec->mounts[i]->destination, VOLUMES_MAX);
		volumes->all = mem_realloc(volumes->all, (volumes->n + 1) * sizeof(*volumes->all));
		volumes->all[volumes->n] = (struct volume){ 0 };
		volumes->all[volumes->n].is_on_root = mount_point_is_of_root(spec, i);
		r = take_one(spec->mounts[i], i, bundle_dir, &volumes->all[volumes->n++], err);
		if (r < 0)
			return r;
	}
	*out = take_ptr(&volumes);
	return 0;
}

static void end_mounting(struct volumes *volumes)
{
	volumes->is_mounting = false;
	volume_table_end(volumes->table);
}

static void leave(struct volumes *volumes)
{
	volumes->is_in_use = false;
	for (size_t i = 0; i < volumes->n; i++)
		volume_table_leave(volumes->table, volumes->all[i].place);
}

void volumes_destroy(struct volumes *volumes)
{
	if (!volumes)
		return;
	if (volumes->is_mounting)
		end_mounting(volumes);
	if (volumes->is_in_use)
		leave(volumes);
	for (size_t i = 0; i < volumes->n; i++) {
		free(volumes->all[i].source);
		free(volumes->all[i].destination);
		free(volumes->all[i].storage.source);
		free(volumes->all[i].storage.mount_point);
		for (size_t j = 0; j < STORAGE_OPTIONS; j++)
			free(volumes->all[i].storage_options[j]);
	}
	free(volumes->all);
	free(volumes->unused);
	free(volumes->storages);
	free(volumes);
}

void volumes_begin(struct volumes *volumes, struct volume_table *table,
                   struct volume_copies *copies)
{
	volumes->table = table;
	volumes->copies = copies;
	volumes->first = volume_table_begin(table, volumes->n);
	volumes->is_mounting = true;
}

/* In the child. */
static int mount_at(const struct volume *volume, int source, int dirfd, uint64_t place,
                    struct error *err)
{
	autoclose int mount = bind_mount_clone(source, volume->source, &volume->options, err);
	char name[NAME_LEN];

	if (mount < 0)
		return mount;
	snprintf(name, sizeof(name), "%" PRIu64, place);
	return bind_mount_attach(mount, dirfd, name, err);
}

/* Of a copy, where there is one to make. */
static int mount_new(const struct volumes *volumes, size_t i, int source, int dirfd,
                     struct outcome *out, struct error *err)
{
	const struct volume *volume = &volumes->all[i];
	uint64_t place = volumes->first + i;
	autoclose int copy = -1;

	if (volumes->copies && volume->options.read_only)
		copy = volume_copies_make(volumes->copies, place, volume->source, source,
		                          &out->seen);
	out->is_copy = copy >= 0;
	return mount_at(volume, copy < 0 ? source : copy, dirfd, place, err);
}

static int mount_one(const struct volumes *volumes, size_t i, int dirfd, struct outcome *out,
                     struct memory_volume *memory, struct error *err)
{
	const struct volume *volume = &volumes->all[i];
	autoclose int source = bind_mount_source(volume->source, err);
	struct stat st;
	int r;

	if (source < 0)
		return source;
	r = volume_identity_read(volume->source, source, &volume->options, &out->what, err);
	if (r == 0)
		r = memory_volume_find(volume->source, source, memory, err);
	out->is_in_memory = memory->found;
	out->is_device = fstat(source, &st) == 0 && device_volume_find(&st, &out->device);
	if (r < 0 || volume_table_find(volumes->table, &out->what, &out->place))
		return r;
	if (!out->is_device) /* the share has no devices */
		r = mount_new(volumes, i, source, dirfd, out, err);
	if (r == 0) /* for the next of this container */
		out->place = volume_table_use(volumes->table, &out->what, volumes->first + i);
	return r;
}

int volumes_mount(struct volumes *volumes, int share, int root, struct buf *result,
                  struct error *err)
{
	autoclose int places = -1;
	size_t in_memory = 0;

	if (volumes->n == 0)
		return 0;
	if (mkdirat(share, VOLUMES_DIR, DIR_MODE) < 0 && errno != EEXIST)
		return error_errno(err, "cannot make directory \"" VOLUMES_DIR "\"");
	places = openat(share, VOLUMES_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (places < 0)
		return error_errno(err, "cannot open \"" VOLUMES_DIR "\"");
	for (size_t i = 0; i < volumes->n; i++) {
		struct outcome outcome = { 0 };
		struct memory_volume memory = { 0 };
		int r = mount_one(volumes, i, places, &outcome, &memory, err);

		if (r == 0 && memory.found && ++in_memory > IN_MEMORY_MAX)
			r = error_set(err, ERROR_INVALID_ARGUMENT, "more than %d volumes in memory",
			              IN_MEMORY_MAX);
		if (r < 0)
			return error_wrap(err, "mounts[%zu] \"%s\"", volumes->all[i].number,
			                  volumes->all[i].destination);
		if (root >= 0 && volumes->all[i].is_on_root && !outcome.what.is_directory)
			mount_point_make(root, volumes->all[i].destination);
		buf_append(result, &outcome, sizeof(outcome));
		if (memory.found)
			buf_append(result, &memory, sizeof(memory));
	}
	return 0;
}

/* In the parent again. */
static void take_bytes(const struct buf *result, size_t *at, void *out, size_t len)
{
	assert(result->len - *at >= len);
	memcpy(out, (const char *)buf_data(result) + *at, len);
	*at += len;
}

void volumes_mounted(struct volumes *volumes, const struct buf *result)
{
	size_t at = 0;

	for (size_t i = 0; i < volumes->n; i++) {
		struct outcome outcome;

		take_bytes(result, &at, &outcome, sizeof(outcome));
		if (outcome.is_in_memory)
			take_bytes(result, &at, &volumes->all[i].memory,
			           sizeof(volumes->all[i].memory));
		volumes->all[i].is_device = outcome.is_device;
		volumes->all[i].device = outcome.device;
		volumes->all[i].place =
			volume_table_use(volumes->table, &outcome.what, outcome.place);
		if (outcome.is_copy && volumes->all[i].place == outcome.place)
			volume_copies_follow(volumes->copies, outcome.place, volumes->all[i].source,
			                     &outcome.seen);
	}
	assert(at == result->len);
	volumes->is_in_use = true;
	end_mounting(volumes);
}

static void set_text(char **text, char *value)
{
	free(*text);
	*text = value;
}

/* Where containers can meet: a file is no file system of its own, and in what nobody can write
 * nobody makes a socket. */
static bool is_meeting_place(const struct volumes *volumes, const struct volume *volume)
{
	const struct volume_identity *what = volume_table_at(volumes->table, volume->place);

	return what->is_directory && !what->read_only;
}

static void add_bind(struct volumes *volumes, struct volume *volume)
{
	Grpc__Storage *storage = &volume->storage;

	grpc__storage__init(storage);
	storage->driver = "bind";
	storage->fstype = "bind";
	storage->source = mem_printf(GUEST_VOLUMES "/%" PRIu64, volume->place);
	storage->mount_point = mem_printf(GUEST_BINDS "/%" PRIu64, volume->place);
	volumes->storages[volumes->n_storages++] = storage;
}

/* As the kubelet has made it. */
static void add_tmpfs(struct volumes *volumes, struct volume *volume)
{
	const struct memory_volume *memory = &volume->memory;
	Grpc__Storage *storage = &volume->storage;

	volume->storage_options[0] = mem_printf("mode=%o", (unsigned int)memory->mode);
	volume->storage_options[1] = mem_printf("uid=%u", (unsigned int)memory->uid);
	volume->storage_options[2] = mem_printf("gid=%u", (unsigned int)memory->gid);
	volume->storage_options[3] = memory->page_size
	                                     ? mem_printf("pagesize=%" PRIu64, memory->page_size)
	                                     : mem_printf("size=%" PRIu64, memory->bytes);
	grpc__storage__init(storage);
	storage->driver = "ephemeral";
	storage->fstype = memory->page_size ? "hugetlbfs" : "tmpfs";
	storage->source = mem_strdup(storage->fstype);
	storage->mount_point = mem_printf(GUEST_EPHEMERAL "/%u", memory->minor);
	storage->options = volume->storage_options;
	storage->n_options =
		memory->bytes || memory->page_size ? STORAGE_OPTIONS : STORAGE_OPTIONS - 1;
	volumes->storages[volumes->n_storages++] = storage;
}

static void add_device(struct volumes *volumes, struct volume *volume)
{
	const struct device_volume *device = &volume->device;
	Grpc__Storage *storage = &volume->storage;

	volume->storage_options[0] = mem_printf("mode=%o", (unsigned int)device->mode);
	volume->storage_options[1] = mem_printf("uid=%u", (unsigned int)device->uid);
	volume->storage_options[2] = mem_printf("gid=%u", (unsigned int)device->gid);
	grpc__storage__init(storage);
	storage->driver = "device";
	storage->fstype = "tmpfs";
	storage->source = mem_printf("%u:%u", major(device->number), minor(device->number));
	storage->mount_point = mem_printf(GUEST_DEVICES "/%" PRIu64, volume->place);
	storage->options = volume->storage_options;
	storage->n_options = STORAGE_OPTIONS - 1; /* it has no size */
	volumes->storages[volumes->n_storages++] = storage;
}

static unsigned int feature_of(const struct memory_volume *memory)
{
	return memory->page_size ? FEATURE_HUGE_PAGES : FEATURE_MEMORY_VOLUMES;
}

/* Returns the source of the mount. */
static char *name_one(struct volumes *volumes, struct volume *volume, unsigned int features)
{
	if (volume->memory.found && (features & feature_of(&volume->memory))) {
		add_tmpfs(volumes, volume);
		return mem_printf("%s%s", volume->storage.mount_point, volume->memory.below);
	}
	if (volume->is_device && !(features & FEATURE_DEVICE_STORAGES))
		return device_volume_path(&volume->device);
	if (volume->is_device) {
		add_device(volumes, volume);
		return mem_printf("%s/" GUEST_DEVICE_NAME, volume->storage.mount_point);
	}
	if ((features & FEATURE_BIND_STORAGES) && is_meeting_place(volumes, volume)) {
		add_bind(volumes, volume);
		return mem_strdup(volume->storage.mount_point);
	}
	return mem_printf(GUEST_VOLUMES "/%" PRIu64, volume->place);
}

void volumes_name(struct volumes *volumes, unsigned int features, Grpc__Spec *spec)
{
	volumes->storages = mem_alloc((volumes->n + 1) * sizeof(void *));
	for (size_t i = 0; i < volumes->n; i++) {
		struct volume *volume = &volumes->all[i];

		set_text(&spec->mounts[volume->number]->source,
		         name_one(volumes, volume, features));
	}
}

size_t volumes_storages(const struct volumes *volumes, Grpc__Storage ***out)
{
	*out = volumes->storages;
	return volumes->n_storages;
}

static void note_unused(struct volumes *volumes, uint64_t place)
{
	volumes->unused =
		mem_realloc(volumes->unused, (volumes->n_unused + 1) * sizeof(*volumes->unused));
	volumes->unused[volumes->n_unused++] = place;
	if (volumes->copies)
		volume_copies_forget(volumes->copies, place);
}

bool volumes_take_unused(struct volumes *volumes)
{
	autofree uint64_t *places = NULL;
	size_t n = volume_table_take_unused(volumes->table, &places);

	volumes->n_unused = 0;
	for (size_t i = 0; i < n; i++)
		note_unused(volumes, places[i]);
	return n;
}

/* What its own child may have mounted is not in the table. */
void volumes_leave(struct volumes *volumes)
{
	const bool failed = volumes->is_mounting;

	if (!failed && !volumes->is_in_use)
		return;
	if (failed)
		end_mounting(volumes);
	else
		leave(volumes);
	volumes_take_unused(volumes);
	for (size_t i = 0; i < volumes->n && failed; i++)
		note_unused(volumes, volumes->first + i);
}

/* In a child. */
int volumes_unmount(const struct volumes *volumes, int share, struct error *err)
{
	autoclose int places =
		openat(share, VOLUMES_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[NAME_LEN];

	if (places < 0)
		return errno == ENOENT ? 0 : error_errno(err, "cannot open \"" VOLUMES_DIR "\"");
	if (fchdir(places) < 0)
		return error_errno(err, "cannot change to \"" VOLUMES_DIR "\"");
	for (size_t i = 0; i < volumes->n_unused; i++) {
		snprintf(name, sizeof(name), "%" PRIu64, volumes->unused[i]);
		while (umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			;
		if (unlink(name) < 0 && errno == EISDIR)
			rmdir(name);
		if (volumes->copies)
			volume_copies_remove(volumes->copies, volumes->unused[i]);
	}
	return 0;
}
