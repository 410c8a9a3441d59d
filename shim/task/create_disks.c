#include "shim/task/create_disks.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/pod/disk_set.h"
#include "shim/storage/direct_volume.h"
#include "shim/storage/disk_source.h"
#include "shim/storage/guest_root.h"
#include "shim/storage/root_disks.h"
#include "shim/storage/spec_disks.h"

struct create_disks {
	struct spec_disks *of_spec; /* NULL: none */
	struct root_disks *root;    /* NULL: the root file system is none */
	bool root_in_guest;
	struct guest_root *guest_root; /* NULL: not told yet, or the host mounts it */
	Grpc__Storage **storages;      /* the list, of others' */
};

int create_disks_take(Grpc__Spec *spec, const char *id, Containerd__Types__Mount *const *rootfs,
                      size_t n, size_t room, struct create_disks **out, struct error *err)
{
	autodestroy(create_disks) struct create_disks *disks = mem_new(struct create_disks);

	if (root_disks_parse(rootfs, n, &disks->root, err) < 0)
		return error_code_errno(err->code);
	disks->root_in_guest = disks->root && !root_disks_write_to_host(disks->root) &&
	                       root_disks_count(disks->root) <= room;
	if (spec_disks_take(spec, id, DIRECT_VOLUMES_DIR, &disks->of_spec, err) < 0)
		return error_code_errno(err->code);
	*out = take_ptr(&disks);
	return 0;
}

void create_disks_destroy(struct create_disks *disks)
{
	if (!disks)
		return;
	spec_disks_destroy(disks->of_spec);
	root_disks_destroy(disks->root);
	guest_root_destroy(disks->guest_root);
	free(disks->storages);
	free(disks);
}

const struct root_disks *create_disks_root(const struct create_disks *disks)
{
	return disks->root;
}

bool create_disks_has_guest_root(const struct create_disks *disks)
{
	return disks->root_in_guest;
}

static size_t count_of_spec(const struct create_disks *disks)
{
	return disks->of_spec ? spec_disks_count(disks->of_spec) : 0;
}

static size_t count_of_root(const struct create_disks *disks)
{
	return disks->root_in_guest ? root_disks_count(disks->root) : 0;
}

void create_disks_bind(struct create_disks *disks)
{
	spec_disks_bind(disks->of_spec);
}

bool create_disks_any(const struct create_disks *disks)
{
	return disks->of_spec || disks->root_in_guest;
}

int create_disks_list(const struct create_disks *disks, struct disk_set *set, struct error *err)
{
	for (size_t i = 0; i < count_of_spec(disks); i++) {
		int r = disk_set_add(set, spec_disks_source(disks->of_spec, i), err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < count_of_root(disks); i++) {
		const struct root_disk *disk = root_disks_get(disks->root, i);
		const struct disk_source source = { .path = disk->path,
			                            .read_only = disk->read_only };
		int r = disk_set_add(set, &source, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static void name_devices(struct create_disks *disks, const struct disk_set *set,
                         Grpc__CreateContainerRequest *request)
{
	if (!disks->of_spec)
		return;
	for (size_t i = 0; i < spec_disks_count(disks->of_spec); i++)
		spec_disks_place(disks->of_spec, i, disk_set_path(set, i));
	spec_disks_put(disks->of_spec, request);
}

static void add_storages(struct create_disks *disks, Grpc__CreateContainerRequest *request)
{
	Grpc__Storage **root;
	size_t n = guest_root_storages(disks->guest_root, &root);

	disks->storages = mem_alloc((n + request->n_storages) * sizeof(Grpc__Storage *));
	memcpy(disks->storages, root, n * sizeof(Grpc__Storage *));
	if (request->n_storages > 0)
		memcpy(disks->storages + n, request->storages,
		       request->n_storages * sizeof(Grpc__Storage *));
	request->storages = disks->storages;
	request->n_storages += n;
}

int create_disks_name(struct create_disks *disks, const struct disk_set *set, const char *id,
                      Grpc__Spec *spec, Grpc__CreateContainerRequest *request, struct error *err)
{
	size_t first = count_of_spec(disks);
	size_t n = count_of_root(disks);
	autofree const char **paths = mem_alloc((n + 1) * sizeof(char *));

	name_devices(disks, set, request);
	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		paths[i] = disk_set_path(set, first + i);
	if (guest_root_create(disks->root, paths, id, &disks->guest_root, err) < 0)
		return error_code_errno(err->code);
	free(spec->root->path);
	spec->root->path = mem_strdup(guest_root_path(disks->guest_root));
	add_storages(disks, request);
	return 0;
}
