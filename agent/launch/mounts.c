#include "agent/launch/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "agent/base/mount_options.h"
#include "agent/launch/in_root.h"
#include "common/cleanup.h"
#include "common/error.h"

#define BIND_FLAGS (MS_BIND | MS_REC | MS_REMOUNT)

/* What may be mounted below /proc: files that show a container its own limits, as LXCFS does. */
static const char *const proc_files[] = {
	"/proc/cpuinfo",
	"/proc/diskstats",
	"/proc/loadavg",
	"/proc/meminfo",
	"/proc/net/dev",
	"/proc/slabinfo",
	"/proc/stat",
	"/proc/swaps",
	"/proc/sys/kernel/ns_last_pid",
	"/proc/uptime",
	NULL,
};

static bool is_bind(const Grpc__Mount *mount, const struct mount_options *options)
{
	return !strcmp(mount->type, "bind") || (options->flags & MS_BIND);
}

static bool is_dev(const Grpc__Mount *mount)
{
	return !strcmp(mount->destination, "/dev") || !strcmp(mount->destination, "/dev/");
}

static int parse(const Grpc__Mount *mount, struct mount_options *out, struct error *err)
{
	if (mount_options_parse(mount->options, mount->n_options, out, err) < 0)
		return error_wrap(err, "mount %s", mount->destination);
	return 0;
}

int mounts_check(const Grpc__Spec *spec, struct error *err)
{
	size_t i;

	for (i = 0; i < spec->n_mounts; i++) {
		struct mount_options options;
		int r = parse(spec->mounts[i], &options, err);

		if (r < 0)
			return r;
		mount_options_fini(&options);
		if (!*spec->mounts[i]->destination)
			return error_set(err, ERROR_INVALID_ARGUMENT, "mounts[%zu]: no destination",
			                 i);
	}
	return 0;
}

bool mounts_bind_dev(const Grpc__Spec *spec)
{
	bool bind = false;
	size_t i;

	for (i = 0; i < spec->n_mounts; i++) {
		struct mount_options options;

		if (!is_dev(spec->mounts[i]) || parse(spec->mounts[i], &options, NULL) < 0)
			continue;
		bind = is_bind(spec->mounts[i], &options);
		mount_options_fini(&options);
	}
	return bind;
}

/* mount(2) on what @fd is. */
static int mount_on(int fd, const char *source, const char *type, unsigned long flags,
                    const char *data)
{
	char path[IN_ROOT_PATH_SIZE];

	return mount(source, in_root_path(fd, path), type, flags, data);
}

/*
 * A container that could put files of its own over parts of /proc could make whoever enters it
 * believe or do what it wants. An empty tmpfs only hides.
 */
static int check_target(int fd, const Grpc__Mount *mount, struct error *err)
{
	struct statfs fs;
	size_t i;

	if (fstatfs(fd, &fs) < 0)
		return error_errno(err, "statfs '%s'", mount->destination);
	if (fs.f_type != PROC_SUPER_MAGIC || !strcmp(mount->type, "proc") ||
	    !strcmp(mount->type, "tmpfs"))
		return 0;
	for (i = 0; proc_files[i]; i++)
		if (!strcmp(proc_files[i], mount->destination))
			return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "'%s' cannot be mounted because it is inside /proc", mount->destination);
}

/* Propagation, and attributes of the whole tree: of what is mounted there by now. */
static int finish_mount(int root, const Grpc__Mount *mount, const struct mount_options *options,
                        struct error *err)
{
	struct mount_attr attr = { .attr_set = options->attr_set, .attr_clr = options->attr_clear };
	autoclose int fd = in_root_open(root, mount->destination, O_PATH);
	size_t i;

	if (fd < 0) {
		errno = -fd;
		return error_errno(err, "open '%s'", mount->destination);
	}
	for (i = 0; i < options->n_propagation; i++)
		if (mount_on(fd, NULL, NULL, options->propagation[i], NULL) < 0)
			return error_errno(err, "set the propagation of '%s'", mount->destination);
	if ((attr.attr_set || attr.attr_clr) &&
	    syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) <
	            0)
		return error_errno(err, "set the attributes of '%s'", mount->destination);
	return 0;
}

/* The flags of the mount at @path, given anew: for a bind that is no more than MS_BIND says. */
static int remount(int root, const char *path, unsigned long flags, const char *data,
                   struct error *err)
{
	autoclose int fd = in_root_open(root, path, O_PATH);

	if (fd < 0) {
		errno = -fd;
		return error_errno(err, "open '%s'", path);
	}
	if (mount_on(fd, NULL, NULL, flags | MS_REMOUNT, data) < 0)
		return error_errno(err, "remount '%s'", path);
	return 0;
}

static int make_bind(int root, const Grpc__Mount *mount, const struct mount_options *options,
                     struct error *err)
{
	autoclose int target = -1;
	struct stat st;
	int r;

	if (stat(mount->source, &st) < 0)
		return error_errno(err, "mount %s: stat '%s'", mount->destination, mount->source);
	target = in_root_make(root, mount->destination, S_ISDIR(st.st_mode) ? S_IFDIR : S_IFREG,
	                      0755, err);
	if (target < 0)
		return target;
	r = check_target(target, mount, err);
	if (r < 0)
		return r;
	if (mount_on(target, mount->source, NULL, MS_BIND | (options->flags & MS_REC), NULL) < 0)
		return error_errno(err, "bind '%s' to '%s'", mount->source, mount->destination);
	if (!(options->flags & ~(unsigned long)BIND_FLAGS))
		return 0;
	return remount(root, mount->destination, MS_BIND | (options->flags & ~MS_REC), NULL, err);
}

/* The file system is told the mode of its top. */
static bool has_mode(const struct mount_options *options)
{
	return !strncmp(options->data, "mode=", 5) || strstr(options->data, ",mode=");
}

/* The directory to mount on; *@mode is the one it has had, or -1 when it is new. */
static int make_target(int root, const Grpc__Mount *mount, int *mode, struct error *err)
{
	bool plain = !strcmp(mount->type, "proc") || !strcmp(mount->type, "sysfs");
	autoclose int there =
		in_root_open(root, mount->destination, O_PATH | (plain ? O_NOFOLLOW : 0));
	struct stat st;

	*mode = -1;
	if (there >= 0 && fstat(there, &st) == 0) {
		if (plain && !S_ISDIR(st.st_mode))
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "filesystem '%s' must be mounted on ordinary directory",
			                 mount->destination);
		*mode = st.st_mode & 07777;
	}
	return in_root_make(root, mount->destination, S_IFDIR, 0755, err);
}

/*
 * A tmpfs that is told no mode takes that of the directory that it covers, and must not be
 * read-only before it has; devices are still to be made in /dev.
 */
static int make_file_system(int root, const Grpc__Mount *mount, const struct mount_options *options,
                            struct error *err)
{
	bool tmpfs = !strcmp(mount->type, "tmpfs");
	const char *type = !strcmp(mount->type, "cgroup") ? "cgroup2" : mount->type;
	unsigned long flags = options->flags;
	char path[IN_ROOT_PATH_SIZE];
	autoclose int target = -1;
	autoclose int top = -1;
	int mode;
	int r;

	if (tmpfs || is_dev(mount))
		flags &= ~MS_RDONLY;
	target = make_target(root, mount, &mode, err);
	if (target < 0)
		return target;
	r = check_target(target, mount, err);
	if (r < 0)
		return r;
	if (mount_on(target, mount->source, type, flags, options->data) < 0)
		return error_errno(err, "mount '%s' (%s) on '%s' with '%s'", mount->source, type,
		                   mount->destination, options->data);
	if (!tmpfs)
		return 0;
	top = in_root_open(root, mount->destination, O_PATH);
	if (mode >= 0 && !has_mode(options) &&
	    (top < 0 || chmod(in_root_path(top, path), mode) < 0))
		return error_errno(err, "chmod '%s'", mount->destination);
	if (!(options->flags & MS_RDONLY) || is_dev(mount))
		return 0;
	return remount(root, mount->destination, options->flags, options->data, err);
}

static int make_mount(int root, const Grpc__Mount *mount, struct error *err)
{
	struct mount_options options;
	int r = parse(mount, &options, err);

	if (r < 0)
		return r;
	if (is_bind(mount, &options))
		r = make_bind(root, mount, &options, err);
	else
		r = make_file_system(root, mount, &options, err);
	if (r == 0)
		r = finish_mount(root, mount, &options, err);
	mount_options_fini(&options);
	return r;
}

int mounts_make(int root, const Grpc__Spec *spec, struct error *err)
{
	size_t i;
	int r;

	for (i = 0; i < spec->n_mounts; i++) {
		r = make_mount(root, spec->mounts[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int mounts_finish(int root, const Grpc__Spec *spec, struct error *err)
{
	size_t i;

	for (i = 0; i < spec->n_mounts; i++) {
		const Grpc__Mount *mount = spec->mounts[i];
		struct mount_options options;
		int r;

		if (!is_dev(mount))
			continue;
		r = parse(mount, &options, err);
		if (r < 0)
			return r;
		if ((options.flags & MS_RDONLY) && !is_bind(mount, &options))
			r = remount(root, mount->destination, MS_BIND | options.flags, NULL, err);
		mount_options_fini(&options);
		if (r < 0)
			return r;
	}
	return 0;
}
