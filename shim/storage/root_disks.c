#include "shim/storage/root_disks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/mem.h"

#define DISKS_MAX   64   /* more mounts than Create may have (ROOTFS_MOUNTS_MAX) */
#define TEXT_MAX    4096 /* of an option with its templates filled in: mount(2)'s page */
#define OPTIONS_MAX 128
#define DIRECTORY   "io.katacontainers.volume.overlayfs.create_directory" /* of the guest's driver */

struct root_disks {
	struct root_disk disks[DISKS_MAX];
	size_t n;
	bool is_overlay;
	char *options[OPTIONS_MAX]; /* of the overlay, with templates */
	size_t n_options;
};

static const char *const file_systems[] = { "btrfs", "erofs", "ext2",     "ext3",
	                                    "ext4",  "xfs",   "squashfs", NULL };
static const char *const overlays[] = { "overlay", "format/overlay", "format/mkdir/overlay", NULL };

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

static const char *after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? NULL : text + len;
}

static bool is_disk(const Containerd__Types__Mount *mount)
{
	return is_one_of(mount->type, file_systems) && *mount->source == '/' && !*mount->target;
}

static int take_option(struct root_disk *disk, const char *option, struct error *err)
{
	if (!strcmp(option, "loop") || !strcmp(option, "rw"))
		return 0;
	if (after(option, "X-containerd.") || after(option, "device="))
		return error_set(err, ERROR_UNIMPLEMENTED, "mount option \"%s\": not supported",
		                 option);
	disk->read_only |= !strcmp(option, "ro");
	disk->options[disk->n_options++] = mem_strdup(option);
	return 0;
}

static int take_disk(struct root_disks *disks, const Containerd__Types__Mount *mount,
                     struct error *err)
{
	struct root_disk *disk = &disks->disks[disks->n++];
	bool never_written = !strcmp(mount->type, "erofs") || !strcmp(mount->type, "squashfs");

	disk->path = mem_strdup(mount->source);
	disk->fstype = mem_strdup(mount->type);
	disk->options = mem_alloc((mount->n_options + 1) * sizeof(char *));
	for (size_t i = 0; i < mount->n_options; i++)
		if (take_option(disk, mount->options[i], err) < 0)
			return error_code_errno(err->code);
	if (never_written && !disk->read_only)
		return take_option(disk, "ro", err);
	return 0;
}

static int take_overlay(struct root_disks *disks, const Containerd__Types__Mount *mount,
                        struct error *err)
{
	if (mount->n_options > OPTIONS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%zu options are more than %d",
		                 mount->n_options, OPTIONS_MAX);
	disks->is_overlay = true;
	while (disks->n_options < mount->n_options) {
		const char *option = mount->options[disks->n_options];

		disks->options[disks->n_options++] = mem_strdup(option);
	}
	return 0;
}

static int take(struct root_disks *disks, const Containerd__Types__Mount *mount, bool last,
                struct error *err)
{
	if (is_disk(mount) && disks->n < DISKS_MAX)
		return take_disk(disks, mount, err);
	if (last && is_one_of(mount->type, overlays))
		return take_overlay(disks, mount, err);
	return error_set(err, ERROR_UNIMPLEMENTED, "\"%s\" (%s) among disks: not supported",
	                 mount->source, mount->type);
}

int root_disks_parse(Containerd__Types__Mount *const *mounts, size_t n, struct root_disks **out,
                     struct error *err)
{
	autodestroy(root_disks) struct root_disks *disks = NULL;

	*out = NULL;
	if (n == 0 || !is_disk(mounts[0]))
		return 0;
	disks = mem_new(struct root_disks);
	for (size_t i = 0; i < n; i++)
		if (take(disks, mounts[i], i == n - 1, err) < 0)
			return error_wrap(err, "rootfs[%zu]", i);
	if (disks->n > 1 && !disks->is_overlay)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "rootfs: %zu disks without an overlay: not supported", disks->n);
	*out = take_ptr(&disks);
	return 0;
}

void root_disks_destroy(struct root_disks *disks)
{
	if (!disks)
		return;
	for (size_t i = 0; i < disks->n; i++) {
		struct root_disk *disk = &disks->disks[i];

		for (size_t j = 0; j < disk->n_options; j++)
			free(disk->options[j]);
		free(disk->options);
		free(disk->path);
		free(disk->fstype);
	}
	for (size_t i = 0; i < disks->n_options; i++)
		free(disks->options[i]);
	free(disks);
}

size_t root_disks_count(const struct root_disks *disks)
{
	return disks->n;
}

const struct root_disk *root_disks_get(const struct root_disks *disks, size_t i)
{
	return &disks->disks[i];
}

bool root_disks_is_overlay(const struct root_disks *disks)
{
	return disks->is_overlay;
}

bool root_disks_write_to_host(const struct root_disks *disks)
{
	for (size_t i = 0; i < disks->n_options; i++) {
		const char *upper = after(disks->options[i], "upperdir=");

		if (upper && *upper == '/')
			return true;
	}
	return false;
}

/* A template's end is @len bytes from its start. False: it is none that we know, or names no disk. */
static bool read_template(const char *text, size_t n, size_t *first, size_t *last, int *len)
{
	*len = 0;
	if (sscanf(text, "{{ mount %zu }}%n", first, len) == 1 && *len > 0)
		*last = *first;
	else if (sscanf(text, "{{ overlay %zu %zu }}%n", first, last, len) != 2 || *len == 0)
		return false;
	return *first < n && *last < n;
}

static int append_places(struct buf *out, const char *const *places, size_t first, size_t last)
{
	int r = buf_append(out, places[first], strlen(places[first]));

	for (size_t i = first; r == 0 && i != last;) {
		i = last > first ? i + 1 : i - 1;
		r = buf_append(out, ":", 1);
		if (r == 0)
			r = buf_append(out, places[i], strlen(places[i]));
	}
	return r;
}

/* @text with its templates filled in; NULL: it is invalid. */
static char *fill_in(const struct root_disks *disks, const char *const *places, const char *text,
                     struct error *err)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	char *filled = NULL;
	int r = 0;

	for (const char *at = text; r == 0 && *at;) {
		size_t plain = strcspn(at, "{");
		size_t first, last;
		int len;

		r = buf_append(&out, at, plain);
		at += plain;
		if (r < 0 || !*at)
			continue;
		if (!read_template(at, disks->n, &first, &last, &len)) {
			r = -1;
			continue;
		}
		r = append_places(&out, places, first, last);
		at += len;
	}
	if (r == 0)
		filled = mem_printf("%.*s", (int)out.len, out.len ? buf_data(&out) : "");
	else
		error_set(err, ERROR_INVALID_ARGUMENT, "invalid mount option \"%s\"", text);
	buf_fini(&out);
	return filled;
}

/* "PATH:MODE[:UID:GID]", of which the guest makes the directory. */
static char *directory_option(const char *path)
{
	return mem_printf(DIRECTORY "=%.*s", (int)strcspn(path, ":"), path);
}

int root_disks_overlay(const struct root_disks *disks, const char *const *places, const char *root,
                       Grpc__Storage **out, struct error *err)
{
	Grpc__Storage *storage = mem_new(Grpc__Storage);

	grpc__storage__init(storage);
	storage->driver = mem_strdup("overlayfs");
	storage->source = mem_strdup("overlay");
	storage->fstype = mem_strdup("overlay");
	storage->mount_point = mem_strdup(root);
	storage->options = mem_alloc((disks->n_options + 1) * sizeof(char *));
	storage->driver_options = mem_alloc((disks->n_options + 1) * sizeof(char *));
	for (size_t i = 0; i < disks->n_options; i++) {
		autofree char *filled = fill_in(disks, places, disks->options[i], err);
		const char *directory;

		if (!filled) {
			grpc__storage__free_unpacked(storage, NULL);
			return error_code_errno(err->code);
		}
		directory = after(filled, "X-containerd.mkdir.path=");
		if (directory)
			storage->driver_options[storage->n_driver_options++] =
				directory_option(directory);
		else
			storage->options[storage->n_options++] = take_ptr(&filled);
	}
	*out = storage;
	return 0;
}
