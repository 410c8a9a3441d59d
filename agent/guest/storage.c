#include "agent/guest/storage.h"

#include <string.h>
#include <sys/mount.h>

#include "agent/base/mount_options.h"
#include "common/error.h"
#include "common/file.h"

struct driver {
	const char *name;
	const char *fstype;
};

static const struct driver drivers[] = {
	{ "virtio-fs", "virtiofs" },
};

static const char *const driver_names[] = { "virtio-fs", NULL };

const char *const *storage_drivers(void)
{
	return driver_names;
}

static int find_driver(const Grpc__Storage *storage, const struct driver **out, struct error *err)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strcmp(storage->driver, drivers[i].name) != 0)
			continue;
		if (strcmp(storage->fstype, drivers[i].fstype) != 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "storage driver \"%s\" has no file system \"%s\"",
			                 storage->driver, storage->fstype);
		*out = &drivers[i];
		return 0;
	}
	return error_set(err, ERROR_UNIMPLEMENTED, "storage driver \"%s\": not supported",
	                 storage->driver);
}

static int mount_it(const Grpc__Storage *storage, const struct mount_options *options,
                    struct error *err)
{
	int r;

	if (options->n_propagation || options->attr_set || options->attr_clear)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "storage \"%s\": recursive options: not supported",
		                 storage->mount_point);
	r = file_make_dirs(storage->mount_point, 0755, err);
	if (r < 0)
		return r;
	if (mount(storage->source, storage->mount_point, storage->fstype, options->flags,
	          options->data) < 0)
		return error_errno(err, "cannot mount %s \"%s\" on \"%s\"", storage->fstype,
		                   storage->source, storage->mount_point);
	return 0;
}

int storage_mount(const Grpc__Storage *storage, struct error *err)
{
	const struct driver *driver;
	struct mount_options options;
	int r;

	r = find_driver(storage, &driver, err);
	if (r < 0)
		return r;
	if (storage->fs_group || storage->n_driver_options)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "storage \"%s\": fs_group and driver_options: not supported",
		                 storage->mount_point);
	r = mount_options_parse(storage->options, storage->n_options, &options, err);
	if (r < 0)
		return r;
	r = mount_it(storage, &options, err);
	mount_options_fini(&options);
	return r;
}

int storage_unmount(const char *mount_point, struct error *err)
{
	if (umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return error_errno(err, "cannot unmount \"%s\"", mount_point);
	return 0;
}
