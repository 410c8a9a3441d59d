#include "agent/launch/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/base/kvm_device.h"
#include "agent/launch/in_root.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "proto/all_devices.h"

struct device {
	const char *path;
	mode_t mode; /* with its type */
	dev_t number;
	uid_t uid;
	gid_t gid;
};

static const struct {
	const char *path;
	unsigned int major;
	unsigned int minor;
} defaults[] = {
	{ "/dev/null", 1, 3 },   { "/dev/zero", 1, 5 },    { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

static const struct {
	const char *path;
	const char *target;
} links[] = {
	{ "/dev/fd", "/proc/self/fd" },
	{ "/dev/stdin", "/proc/self/fd/0" },
	{ "/dev/stdout", "/proc/self/fd/1" },
	{ "/dev/stderr", "/proc/self/fd/2" },
};

/* 0 for what is no device. */
static mode_t type_mode(const char *type)
{
	if (!strcmp(type, "c") || !strcmp(type, "u"))
		return S_IFCHR;
	if (!strcmp(type, "b"))
		return S_IFBLK;
	return strcmp(type, "p") ? 0 : S_IFIFO;
}

/* Where a client has asked for all of the host's, and not for this one, it is left out. */
static int check_kvm(const Grpc__Spec *spec, size_t i, struct error *err)
{
	const Grpc__LinuxDevice *device = spec->linux->devices[i];

	if (all_devices_are_permitted(spec->linux->resources) ||
	    kvm_device_check(type_mode(device->type), device->major, device->minor, err) == 0)
		return 0;
	return error_wrap(err, "linux.devices[%zu] \"%s\"", i, device->path);
}

int devices_check(const Grpc__Spec *spec, struct error *err)
{
	size_t i;

	for (i = 0; spec->linux && i < spec->linux->n_devices; i++) {
		const Grpc__LinuxDevice *device = spec->linux->devices[i];

		if (!type_mode(device->type))
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"invalid linux.devices[%zu].type \"%s\": expected b, c, p or u", i,
				device->type);
		if (device->major < 0 || device->minor < 0 || device->major > UINT32_MAX ||
		    device->minor > UINT32_MAX)
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"invalid linux.devices[%zu] \"%s\": device number out of range", i,
				device->path);
		if (check_kvm(spec, i, err) < 0)
			return error_code_errno(err->code);
	}
	return 0;
}

static int make_node(int root, const struct device *device, struct error *err)
{
	const char *name = NULL;
	autoclose int parent = in_root_make_parent(root, device->path, &name, err);
	autoclose int node = -1;
	char path[IN_ROOT_PATH_SIZE];
	struct stat st;

	if (parent < 0)
		return parent;
	if (mknodat(parent, name, device->mode, device->number) < 0)
		return errno == EEXIST
		               ? 0
		               : error_errno(err, "cannot make device \"%s\"", device->path);
	node = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node < 0 || fstat(node, &st) < 0)
		return error_errno(err, "cannot open \"%s\"", device->path);
	if ((st.st_mode & S_IFMT) != (device->mode & S_IFMT))
		return error_set(err, ERROR_ABORTED,
		                 "cannot make device \"%s\": replaced meanwhile", device->path);
	if (fchownat(node, "", device->uid, device->gid, AT_EMPTY_PATH) < 0 ||
	    chmod(in_root_path(node, path), device->mode & 07777) < 0)
		return error_errno(err, "cannot set the owner and mode of \"%s\"", device->path);
	return 0;
}

static int make_defaults(int root, struct error *err)
{
	size_t i;

	for (i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		const struct device device = {
			.path = defaults[i].path,
			.mode = S_IFCHR | 0666,
			.number = makedev(defaults[i].major, defaults[i].minor),
		};
		int r = make_node(root, &device, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int make_spec_devices(int root, const Grpc__Linux *config, struct error *err)
{
	size_t i;

	for (i = 0; config && i < config->n_devices; i++) {
		const Grpc__LinuxDevice *row = config->devices[i];
		mode_t mode = row->filemode & 07777;
		const struct device device = {
			.path = row->path,
			.mode = type_mode(row->type) | (mode ? mode : 0666),
			.number = makedev(row->major, row->minor),
			.uid = row->uid,
			.gid = row->gid,
		};
		int r = 0;

		if (kvm_device_check(device.mode & S_IFMT, row->major, row->minor, NULL) == 0)
			r = make_node(root, &device, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_link(int root, const char *path, const char *target, struct error *err)
{
	const char *name = NULL;
	autoclose int parent = in_root_make_parent(root, path, &name, err);

	if (parent < 0)
		return parent;
	if (symlinkat(target, parent, name) < 0 && errno != EEXIST)
		return error_errno(err, "cannot link \"%s\" to \"%s\"", path, target);
	return 0;
}

/* A container's terminals are its own devpts's, whatever its image brings. */
static int make_ptmx(int root, struct error *err)
{
	const char *name = NULL;
	autoclose int parent = in_root_make_parent(root, "/dev/ptmx", &name, err);

	if (parent < 0)
		return parent;
	if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
		return error_errno(err, "cannot remove \"/dev/ptmx\"");
	if (symlinkat("pts/ptmx", parent, name) < 0)
		return error_errno(err, "cannot link \"/dev/ptmx\" to \"pts/ptmx\"");
	return 0;
}

int devices_make(int root, const Grpc__Spec *spec, struct error *err)
{
	size_t i;
	int r;

	r = make_spec_devices(root, spec->linux, err);
	if (r == 0)
		r = make_defaults(root, err);
	if (r == 0)
		r = make_ptmx(root, err);
	for (i = 0; r == 0 && i < sizeof(links) / sizeof(links[0]); i++)
		r = make_link(root, links[i].path, links[i].target, err);
	if (r == 0 && access("/proc/kcore", F_OK) == 0)
		r = make_link(root, "/dev/core", "/proc/kcore", err);
	return r;
}
