#include "shim/storage/host_disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "shim/storage/bind_mount.h"
#include "shim/storage/disk_source.h"
#include "shim/storage/loop_device.h"
#include "shim/storage/root_disks.h"
#include "shim/storage/rootfs_options.h"

#define DIR_MODE  0755
#define LAYER_MAX 32 /* of the name of a layer's directory */

static int open_target(int dirfd, const char *name, struct error *err)
{
	int fd;

	if (mkdirat(dirfd, name, DIR_MODE) < 0 && errno != EEXIST)
		return error_errno(err, "cannot make directory \"%s\"", name);
	fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? error_errno(err, "cannot open \"%s\"", name) : fd;
}

static int mount_at(const char *type, const char *source, char *const *words, size_t n, int dirfd,
                    const char *name, struct error *err)
{
	autoclose int target = open_target(dirfd, name, err);
	struct rootfs_options options;
	char path[64];
	int r = 0;

	if (target < 0)
		return target;
	if (rootfs_options_parse(type, words, n, &options, err) < 0)
		return error_code_errno(err->code);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	if ((options.dir && chdir(options.dir) < 0) ||
	    mount(source, path, type, options.flags | SERVED_MOUNT_FLAGS, options.data) < 0)
		r = error_errno(err, "cannot mount \"%s\" (%s)", source, type);
	rootfs_options_fini(&options);
	return r;
}

static int mount_disk(const struct root_disk *disk, int dirfd, const char *name, struct error *err)
{
	const struct disk_source source = { .path = disk->path, .read_only = disk->read_only };
	autoclose int file = disk_source_open(&source, err);
	autoclose int loop = -1;
	char node[LOOP_DEVICE_NODE_MAX];
	const char *device = disk->path;
	struct stat st;

	if (file < 0)
		return file;
	if (fstat(file, &st) == 0 && S_ISREG(st.st_mode)) {
		loop = loop_device_open(file, disk->read_only, node, err);
		if (loop < 0)
			return error_wrap(err, "\"%s\"", disk->path);
		device = node;
	}
	return mount_at(disk->fstype, device, disk->options, disk->n_options, dirfd, name, err);
}

/* As the mount manager of containerd does what an agent's driver does with "create_directory". */
static int make_directories(const Grpc__Storage *overlay, struct error *err)
{
	for (size_t i = 0; i < overlay->n_driver_options; i++) {
		const char *path = strchr(overlay->driver_options[i], '=') + 1;
		int r = file_make_dirs(path, DIR_MODE, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int mount_overlay(const struct root_disks *disks, int dirfd, const char *const *places,
                         const char *name, struct error *err)
{
	Grpc__Storage *overlay;
	int r = root_disks_overlay(disks, places, name, &overlay, err);

	if (r < 0)
		return r;
	r = make_directories(overlay, err);
	if (r == 0)
		r = mount_at("overlay", "overlay", overlay->options, overlay->n_options, dirfd,
		             name, err);
	grpc__storage__free_unpacked(overlay, NULL);
	return r;
}

static void layer_name(char name[LAYER_MAX], size_t i)
{
	snprintf(name, LAYER_MAX, "layer-%zu", i);
}

/* An overlay has mounts of its own of what it is made of. */
static int detach_layers(size_t n, int dirfd, struct error *err)
{
	char name[LAYER_MAX];

	if (fchdir(dirfd) < 0)
		return error_errno(err, "cannot change to the container's directory");
	for (size_t i = 0; i < n; i++) {
		layer_name(name, i);
		if (umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ||
		    unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
			return error_errno(err, "cannot unmount \"%s\"", name);
	}
	return 0;
}

static int mount_layers(const struct root_disks *disks, int dirfd, const char *dir,
                        const char *root, struct error *err)
{
	size_t n = root_disks_count(disks);
	autofree char **places = mem_alloc(n * sizeof(char *));
	size_t made = 0;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		char name[LAYER_MAX];

		layer_name(name, i);
		places[i] = mem_printf("%s/%s", dir, name);
		r = mount_disk(root_disks_get(disks, i), dirfd, name, err);
		made += r == 0;
	}
	if (r == 0)
		r = mount_overlay(disks, dirfd, (const char *const *)places, root, err);
	if (detach_layers(made, dirfd, r == 0 ? err : NULL) < 0 && r == 0)
		r = -EIO;
	for (size_t i = 0; i < n; i++)
		free(places[i]);
	return r;
}

int host_disks_mount(const struct root_disks *disks, int dirfd, const char *dir, const char *name,
                     struct error *err)
{
	if (!root_disks_is_overlay(disks))
		return mount_disk(root_disks_get(disks, 0), dirfd, name, err);
	return mount_layers(disks, dirfd, dir, name, err);
}
