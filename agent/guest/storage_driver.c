#include "agent/guest/storage_driver.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/base/kvm_device.h"
#include "agent/base/mount_options.h"
#include "agent/base/mount_tree.h"
#include "agent/guest/block_device.h"
#include "agent/guest/fs_group.h"
#include "agent/guest/overlay_storage.h"
#include "agent/guest/pci_path.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"
#include "proto/guest_dirs.h"

#define OVERLAY            "overlayfs"
#define BIND_TIMEOUT_MS    10000
#define DISK_TIMEOUT_MS    30000 /* a journal may be replayed */
#define TMPFS_MOST_PERCENT 75    /* of the memory that the guest has then */

static int make_tmpfs(const Grpc__Storage *storage, struct error *err);
static int bind_tree(const Grpc__Storage *storage, struct error *err);
static int make_device(const Grpc__Storage *storage, struct error *err);
static int mount_disk(const Grpc__Storage *storage, struct error *err);

static const struct storage_driver drivers[] = {
	/* The kernel sends FUSE_INIT and does not wait for the answer (virtio_fs_fill_super()):
	   what waits is the first lookup. A child process would cost 26 ms of each start. */
	{ "virtio-fs", "virtiofs", 0, storage_driver_make_file_system, false },
	/* A pod's volumes in memory: an init container writes what others read when it has gone. */
	{ "ephemeral", "tmpfs", 0, make_tmpfs, true },
	{ "ephemeral", "hugetlbfs", 0, storage_driver_make_file_system, true },
	{ "bind", "bind", BIND_TIMEOUT_MS, bind_tree, false },
	{ "device", "tmpfs", 0, make_device, false },
	{ STORAGE_DRIVER_DISK, NULL, DISK_TIMEOUT_MS, mount_disk, false },
	{ OVERLAY, "overlay", OVERLAY_STORAGE_TIMEOUT_MS, overlay_storage_make, false },
	{ 0 },
};

const struct storage_driver *storage_drivers(void)
{
	return drivers;
}

static int check(const Grpc__Storage *storage, const struct storage_driver *driver,
                 struct error *err)
{
	struct mount_options options;
	bool is_overlay;
	int r;

	if (*storage->mount_point != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid mount_point \"%s\": not an absolute path",
		                 storage->mount_point);
	is_overlay = !strcmp(driver->name, OVERLAY);
	if (is_overlay && overlay_storage_check(storage, err) < 0)
		return error_wrap(err, "storage \"%s\"", storage->mount_point);
	if ((storage->fs_group && driver->make != mount_disk) ||
	    (storage->n_driver_options && !is_overlay))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "storage \"%s\": fs_group and driver_options: not supported",
		                 storage->mount_point);
	r = mount_options_parse(storage->options, storage->n_options, &options, err);
	if (r < 0)
		return r;
	if (options.n_propagation || options.attr_set || options.attr_clear)
		r = error_set(err, ERROR_UNIMPLEMENTED,
		              "storage \"%s\": recursive options: not supported",
		              storage->mount_point);
	mount_options_fini(&options);
	return r;
}

int storage_driver_find(const struct storage_driver *table, const Grpc__Storage *storage,
                        const struct storage_driver **out, struct error *err)
{
	bool found = false;
	int r;

	for (; table->name; table++) {
		if (strcmp(storage->driver, table->name) != 0)
			continue;
		found = true;
		if (table->fstype && strcmp(storage->fstype, table->fstype) != 0)
			continue;
		r = check(storage, table, err);
		if (r == 0)
			*out = table;
		return r;
	}
	if (found)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "storage driver \"%s\" has no file system \"%s\"", storage->driver,
		                 storage->fstype);
	return error_set(err, ERROR_UNIMPLEMENTED, "storage driver \"%s\": not supported",
	                 storage->driver);
}

/* The file system itself, and not only the mount: its disk may be. */
static bool is_read_only(const char *source, const struct mount_options *options)
{
	return (options->flags & MS_RDONLY) && *source == '/';
}

static int make_file_system(const Grpc__Storage *storage, const char *source, struct error *err)
{
	struct mount_options options;
	autofree char *data = NULL;
	int r;

	r = mount_options_parse(storage->options, storage->n_options, &options, err);
	if (r < 0)
		return r;
	data = mem_printf("%s%s", options.data, is_read_only(source, &options) ? ",ro" : "");
	r = mount_tree_new(storage->fstype, source, data, mount_options_attrs(&options));
	if (r < 0)
		r = error_errno(err, "cannot make the file system");
	mount_options_fini(&options);
	return r;
}

int storage_driver_make_file_system(const Grpc__Storage *storage, struct error *err)
{
	return make_file_system(storage, storage->source, err);
}

static int mount_disk(const Grpc__Storage *storage, struct error *err)
{
	autoclose int tree = -1;
	struct block_device disk;
	int r = block_device_find(PCI_PATH_SYSFS, storage->source, &disk, err);

	if (r == 0)
		tree = r = make_file_system(storage, disk.node, err);
	if (r >= 0 && storage->fs_group)
		r = fs_group_apply(tree, storage->fs_group, err);
	return r < 0 ? r : take_fd(&tree);
}

/* Its size is the host's affair, which may be more than the guest has: nobody could free what fills it,
 * and the kernel would kill one process after the other. */
static int make_tmpfs(const Grpc__Storage *storage, struct error *err)
{
	autoclose int tree = storage_driver_make_file_system(storage, err);
	autofree char *size = NULL;
	struct sysinfo info;
	struct statfs fs;
	uint64_t most;

	if (tree < 0)
		return tree;
	if (sysinfo(&info) < 0 || fstatfs(tree, &fs) < 0)
		return error_errno(err, "cannot compare its size with the memory");
	most = (uint64_t)info.totalram * info.mem_unit / 100 * TMPFS_MOST_PERCENT;
	if ((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize <= most)
		return take_fd(&tree);
	size = mem_printf("size=%" PRIu64, most);
	if (mount_tree_change(tree, size) < 0)
		return error_errno(err, "cannot set its size");
	return take_fd(&tree);
}

/*
 * A directory of the share that is a mount on the host is mounted by who first looks at it, in his
 * mount namespace alone, and is a file system of its own there (fuse_dentry_automount()). So this
 * looks from a mount namespace that goes with the child process: what stays is this mount, which all
 * containers bind.
 */
static int bind_tree(const Grpc__Storage *storage, struct error *err)
{
	int tree;

	if (unshare(CLONE_NEWNS) < 0)
		return error_errno(err, "cannot make a mount namespace");
	tree = mount_tree_clone(AT_FDCWD, storage->source, true);
	return tree < 0 ? error_errno(err, "cannot bind it") : tree;
}

/* A file system with one device of the guest's: mode and owner of its top are those of the device, and
 * containers bind that. The guest's own /dev would have one mode for all of them. */
static int make_device(const Grpc__Storage *storage, struct error *err)
{
	autoclose int tree = -1;
	unsigned int major, minor;
	struct stat top;
	char end;

	if (sscanf(storage->source, "%u:%u%c", &major, &minor, &end) != 2)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid source \"%s\": expected the number of a device",
		                 storage->source);
	if (kvm_device_check(S_IFCHR, major, minor, err) < 0)
		return error_code_errno(err->code);
	tree = storage_driver_make_file_system(storage, err);
	if (tree < 0)
		return tree;
	if (fstat(tree, &top) < 0 ||
	    mknodat(tree, GUEST_DEVICE_NAME, S_IFCHR, makedev(major, minor)) < 0 ||
	    fchownat(tree, GUEST_DEVICE_NAME, top.st_uid, top.st_gid, 0) < 0 ||
	    fchmodat(tree, GUEST_DEVICE_NAME, top.st_mode & 07777, 0) < 0)
		return error_errno(err, "cannot make the device");
	return take_fd(&tree);
}
