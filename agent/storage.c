#include "agent/storage.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/file.h"

#define OPTIONS_MAX 4095 /* mount(2) takes one page */

struct driver {
	const char *name;
	const char *fstype;
};

static const struct driver drivers[] = {
	{ "virtio-fs", "virtiofs" },
};

static const char *const driver_names[] = { "virtio-fs", NULL };

struct flag {
	const char *option;
	unsigned long flag;
};

static const struct flag flags_of_options[] = {
	{ "ro", MS_RDONLY },
	{ "rw", 0 },
	{ "nodev", MS_NODEV },
	{ "nosuid", MS_NOSUID },
	{ "noexec", MS_NOEXEC },
	{ "noatime", MS_NOATIME },
	{ "nodiratime", MS_NODIRATIME },
	{ "relatime", MS_RELATIME },
	{ "sync", MS_SYNCHRONOUS },
};

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
			                 "storage driver '%s' has no file system '%s'",
			                 storage->driver, storage->fstype);
		*out = &drivers[i];
		return 0;
	}
	return error_set(err, ERROR_UNIMPLEMENTED, "storage driver '%s' is not supported",
	                 storage->driver);
}

static bool add_flag(const char *option, unsigned long *flags)
{
	for (size_t i = 0; i < sizeof(flags_of_options) / sizeof(flags_of_options[0]); i++) {
		if (strcmp(option, flags_of_options[i].option) != 0)
			continue;
		*flags |= flags_of_options[i].flag;
		return true;
	}
	return false;
}

/* What is no flag is the file system's own option. */
static int split_options(const Grpc__Storage *storage, unsigned long *flags, struct buf *data,
                         struct error *err)
{
	for (size_t i = 0; i < storage->n_options; i++) {
		if (add_flag(storage->options[i], flags))
			continue;
		if (buf_printf(data, "%s%s", data->len ? "," : "", storage->options[i]) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "mount options longer than %d bytes", OPTIONS_MAX);
	}
	return 0;
}

static int mount_it(const Grpc__Storage *storage, struct buf *data, struct error *err)
{
	unsigned long flags = 0;
	int r;

	r = split_options(storage, &flags, data, err);
	if (r < 0)
		return r;
	r = file_make_dirs(storage->mount_point, 0755, err);
	if (r < 0)
		return r;
	if (buf_append(data, "", 1) < 0 || mount(storage->source, storage->mount_point,
	                                         storage->fstype, flags, buf_data(data)) < 0)
		return error_errno(err, "mount %s '%s' on '%s'", storage->fstype, storage->source,
		                   storage->mount_point);
	return 0;
}

int storage_mount(const Grpc__Storage *storage, struct error *err)
{
	struct buf data = BUF_INIT(OPTIONS_MAX + 1);
	const struct driver *driver;
	int r;

	r = find_driver(storage, &driver, err);
	if (r < 0)
		return r;
	if (storage->fs_group || storage->n_driver_options)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "storage '%s': fs_group and driver_options are not supported",
		                 storage->mount_point);
	r = mount_it(storage, &data, err);
	buf_fini(&data);
	return r;
}

int storage_unmount(const char *mount_point, struct error *err)
{
	if (umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return error_errno(err, "unmount '%s'", mount_point);
	return 0;
}
