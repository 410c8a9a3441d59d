#include "shim/storage/guest_root.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/spec/guest_paths.h"
#include "shim/storage/root_disks.h"

struct guest_root {
	char *path;
	Grpc__Storage **storages;
	size_t n;
};

/* Only of a file system that nobody can write to it does not matter who else has it mounted. */
static bool is_layer(const struct root_disk *disk)
{
	return !strcmp(disk->fstype, "erofs") || !strcmp(disk->fstype, "squashfs");
}

static char *place_of_layer(const char *path)
{
	char *place = mem_printf(GUEST_LAYERS "/%s", path);

	for (char *at = place + strlen(GUEST_LAYERS "/"); *at; at++)
		if (*at == '/')
			*at = '-';
	return place;
}

/* It is the root itself, or below the directory of this container. */
static char *place_of(const struct root_disks *disks, size_t i, const char *path, const char *id)
{
	const struct root_disk *disk = root_disks_get(disks, i);

	if (!root_disks_is_overlay(disks))
		return mem_printf(GUEST_ROOTS "/%s/root", id);
	return is_layer(disk) ? place_of_layer(path)
	                      : mem_printf(GUEST_ROOTS "/%s/disk-%zu", id, i);
}

static Grpc__Storage *disk_storage(const struct root_disk *disk, const char *path,
                                   const char *place)
{
	Grpc__Storage *storage = mem_new(Grpc__Storage);

	grpc__storage__init(storage);
	storage->driver = mem_strdup("blk");
	storage->source = mem_strdup(path);
	storage->fstype = mem_strdup(disk->fstype);
	storage->mount_point = mem_strdup(place);
	storage->options = mem_alloc((disk->n_options + 1) * sizeof(char *));
	for (size_t i = 0; i < disk->n_options; i++)
		storage->options[storage->n_options++] = mem_strdup(disk->options[i]);
	return storage;
}

static int add_overlay(struct guest_root *root, const struct root_disks *disks, struct error *err)
{
	autofree const char **places = mem_alloc(root->n * sizeof(char *));
	Grpc__Storage *overlay;
	int r;

	for (size_t i = 0; i < root->n; i++)
		places[i] = root->storages[i]->mount_point;
	r = root_disks_overlay(disks, places, root->path, &overlay, err);
	if (r == 0)
		root->storages[root->n++] = overlay;
	return r;
}

int guest_root_create(const struct root_disks *disks, const char *const *paths, const char *id,
                      struct guest_root **out, struct error *err)
{
	autodestroy(guest_root) struct guest_root *root = mem_new(struct guest_root);
	size_t n = root_disks_count(disks);

	root->path = mem_printf(GUEST_ROOTS "/%s/root", id);
	root->storages = mem_alloc((n + 1) * sizeof(Grpc__Storage *));
	for (; root->n < n; root->n++) {
		autofree char *place = place_of(disks, root->n, paths[root->n], id);

		root->storages[root->n] =
			disk_storage(root_disks_get(disks, root->n), paths[root->n], place);
	}
	if (root_disks_is_overlay(disks) && add_overlay(root, disks, err) < 0)
		return error_wrap(err, "rootfs");
	*out = take_ptr(&root);
	return 0;
}

void guest_root_destroy(struct guest_root *root)
{
	if (!root)
		return;
	for (size_t i = 0; i < root->n; i++)
		grpc__storage__free_unpacked(root->storages[i], NULL);
	free(root->storages);
	free(root->path);
	free(root);
}

const char *guest_root_path(const struct guest_root *root)
{
	return root->path;
}

size_t guest_root_storages(const struct guest_root *root, Grpc__Storage ***out)
{
	*out = root->storages;
	return root->n;
}
