#include "shim/spec/guest_devices.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "proto/all_devices.h"

#define ANY       (-1)
#define MODE_BITS 07777
#define PATH_SIZE 64

static const struct {
	mode_t type;
	int major;
	int minor;
	const char *name;
} rows[] = {
	{ S_IFCHR, 1, 3, "null" },         { S_IFCHR, 1, 5, "zero" },
	{ S_IFCHR, 1, 7, "full" },         { S_IFCHR, 1, 8, "random" },
	{ S_IFCHR, 1, 9, "urandom" },      { S_IFCHR, 1, 11, "kmsg" },
	{ S_IFCHR, 5, 0, "tty" },          { S_IFCHR, 5, 2, "ptmx" },
	{ S_IFCHR, 10, 200, "net/tun" },   { S_IFCHR, 10, 229, "fuse" },
	{ S_IFCHR, 10, 232, "kvm" },       { S_IFCHR, 10, 237, "loop-control" },
	{ S_IFCHR, 10, 238, "vhost-net" }, { S_IFCHR, 10, 241, "vhost-vsock" },
	{ S_IFBLK, 7, ANY, "loop" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* One without a file is as good as the guest's. */
static bool is_used_loop(mode_t type, unsigned int minor)
{
	char path[PATH_SIZE];

	if (type != S_IFBLK)
		return false;
	snprintf(path, sizeof(path), "/sys/dev/block/7:%u/loop/backing_file", minor);
	return access(path, F_OK) == 0;
}

static const char *find(mode_t type, int64_t major, int64_t minor)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (type == rows[i].type && major == rows[i].major &&
		    (minor == rows[i].minor || rows[i].minor == ANY))
			return rows[i].name;
	return NULL;
}

const char *guest_devices_name(mode_t mode, dev_t number)
{
	const mode_t type = mode & S_IFMT;

	return is_used_loop(type, minor(number)) ? NULL : find(type, major(number), minor(number));
}

/* As mknod(1) has it; 0: it is none. */
static mode_t type_mode(const char *type)
{
	if (!strcmp(type, "c") || !strcmp(type, "u"))
		return S_IFCHR;
	if (!strcmp(type, "b"))
		return S_IFBLK;
	return strcmp(type, "p") ? 0 : S_IFIFO;
}

/* By who lists what is below /dev, which is no file system that can make this wait. */
static bool is_listed(const Grpc__LinuxDevice *device)
{
	struct stat st;

	return !strncmp(device->path, "/dev/", strlen("/dev/")) && stat(device->path, &st) == 0 &&
	       S_ISBLK(st.st_mode) && major(st.st_rdev) == device->major &&
	       minor(st.st_rdev) == device->minor;
}

/* In a sweep nobody wants the host's disk, and a free loop device may be any. */
static bool is_guests(const Grpc__LinuxDevice *device, bool swept)
{
	const mode_t type = type_mode(device->type);

	if (type == S_IFIFO)
		return true;
	return find(type, device->major, device->minor) &&
	       ((swept && is_listed(device)) || device->minor > UINT32_MAX ||
	        !is_used_loop(type, (unsigned int)device->minor));
}

static bool is_disk(const Grpc__LinuxDevice *device, bool swept)
{
	return type_mode(device->type) == S_IFBLK && !is_guests(device, swept) &&
	       !(swept && is_listed(device));
}

bool guest_devices_is_disk(const Grpc__Linux *linux, const Grpc__LinuxDevice *device)
{
	return is_disk(device, all_devices_are_permitted(linux->resources));
}

int guest_devices_apply(Grpc__Linux *linux, struct error *err)
{
	const bool swept = all_devices_are_permitted(linux->resources);
	size_t n = linux->n_devices;
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		Grpc__LinuxDevice *device = linux->devices[i];

		if (is_guests(device, swept) || is_disk(device, swept)) {
			device->filemode &= MODE_BITS; /* some programs write st_mode as it is */
			linux->devices[kept++] = device;
			continue;
		}
		if (!swept && r == 0)
			r = error_set(
				err, ERROR_UNIMPLEMENTED,
				"linux.devices[%zu] \"%s\": devices of the host: not supported", i,
				device->path);
		grpc__linux_device__free_unpacked(device, NULL);
	}
	linux->n_devices = kept;
	if (kept < n && swept)
		log_info("devices of the host are not in the machine left_out=%zu given=%zu",
		         n - kept, kept);
	return r;
}
