#include "agent/launch/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "agent/base/mount_options.h"
#include "agent/base/mount_tree.h"
#include "agent/launch/in_root.h"
#include "agent/launch/proc_context.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"
#include "proto/guest_dirs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define PLAIN_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW)
#define TIME_FLAGS  (MS_RELATIME | MS_NOATIME | MS_NODIRATIME | MS_STRICTATIME)

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
		return error_wrap(err, "mount \"%s\"", mount->destination);
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

/* What is known of them without asking a file server, which statfs(2) does. */
static bool is_one_file_system(int a, int b)
{
	const int flags = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
	struct statx of_a;
	struct statx of_b;

	return statx(a, "", flags, 0, &of_a) == 0 && statx(b, "", flags, 0, &of_b) == 0 &&
	       of_a.stx_dev_major == of_b.stx_dev_major && of_a.stx_dev_minor == of_b.stx_dev_minor;
}

/*
 * A container that could put files of its own over parts of /proc could make whoever enters it
 * believe or do what it wants. An empty tmpfs only hides.
 */
static int check_target(int root, int fd, const Grpc__Mount *mount, struct error *err)
{
	struct statfs fs;
	size_t i;

	if (is_one_file_system(root, fd))
		return 0;
	if (fstatfs(fd, &fs) < 0)
		return error_errno(err, "cannot stat the file system of \"%s\"",
		                   mount->destination);
	if (fs.f_type != PROC_SUPER_MAGIC || !strcmp(mount->type, "proc") ||
	    !strcmp(mount->type, "tmpfs"))
		return 0;
	for (i = 0; proc_files[i]; i++)
		if (!strcmp(proc_files[i], mount->destination))
			return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "\"%s\" cannot be mounted because it is inside /proc", mount->destination);
}

/* The container's own /dev: writable until mounts_finish(), for devices to be made in it. */
static bool is_own_dev(const Grpc__Mount *mount, const struct mount_options *options)
{
	return is_dev(mount) && !is_bind(mount, options);
}

/* Attributes that a mount always has or has not, and those of its access times: one of three. */
#define PLAIN_ATTRS                                                                                \
	(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |            \
	 MOUNT_ATTR_NOSYMFOLLOW)
#define TIME_ATTRS (MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME)

static uint64_t attrs_of(const Grpc__Mount *mount, const struct mount_options *options)
{
	uint64_t attrs = mount_options_attrs(options);

	if (is_own_dev(mount, options))
		attrs &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	return attrs;
}

/*
 * As mount(2) with MS_REMOUNT has it, and so runc: attributes that are not named are off, access
 * times that are not named stay.
 */
static uint64_t attrs_cleared(const struct mount_options *options)
{
	bool times = options->flags & TIME_FLAGS;

	return PLAIN_ATTRS | (times ? TIME_ATTRS : 0);
}

/*
 * A volume in memory is the containers' own: a link that they have made there leads nowhere else. For
 * a subPath the host's kubelet has made a directory, but not here.
 */
static int open_in_memory(const char *path, struct error *err)
{
	size_t len = strcspn(path, "/");
	autofree char *top = mem_printf(GUEST_EPHEMERAL "/%.*s", (int)len, path);
	autoclose int root = open(top, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int fd;

	if (root < 0 || fstat(root, &st) < 0)
		return error_errno(err, "cannot open \"%s\"", top);
	fd = in_root_open(root, path + len, O_PATH);
	return fd >= 0 ? fd : in_root_make(root, path + len, S_IFDIR, st.st_mode & 0777, err);
}

static int clone_source(const Grpc__Mount *mount, bool below, struct error *err)
{
	static const char in_memory[] = GUEST_EPHEMERAL "/";
	autoclose int fd = -1;
	int tree;

	if (!strncmp(mount->source, in_memory, strlen(in_memory))) {
		fd = open_in_memory(mount->source + strlen(in_memory), err);
		if (fd < 0)
			return error_wrap(err, "mount \"%s\"", mount->destination);
		tree = mount_tree_clone(fd, NULL, below);
	} else {
		tree = mount_tree_clone(AT_FDCWD, mount->source, below);
	}
	return tree < 0 ? error_errno(err, "cannot bind \"%s\" to \"%s\"", mount->source,
	                              mount->destination)
	                : tree;
}

/* What is there already may be a directory. The kernel says no more than "Invalid argument". */
static int check_file_target(int target, const Grpc__Mount *mount, struct error *err)
{
	struct stat st;

	if (fstat(target, &st) < 0)
		return error_errno(err, "cannot stat \"%s\"", mount->destination);
	if (!S_ISDIR(st.st_mode))
		return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "cannot bind a file to the directory \"%s\": not a directory",
	                 mount->destination);
}

/* A bind of which nothing is said is what its source is. */
static int bind_tree(int root, const Grpc__Mount *mount, const struct mount_options *options,
                     int *target, struct error *err)
{
	autoclose int tree = clone_source(mount, options->flags & MS_REC, err);
	struct stat st;

	if (tree < 0)
		return tree;
	if (fstat(tree, &st) < 0)
		return error_errno(err, "cannot stat \"%s\"", mount->source);
	*target = in_root_make(root, mount->destination, S_ISDIR(st.st_mode) ? S_IFDIR : S_IFREG,
	                       0755, err);
	if (*target < 0)
		return *target;
	if (!S_ISDIR(st.st_mode) && check_file_target(*target, mount, err) < 0)
		return error_code_errno(err->code);
	if ((options->flags & (TIME_FLAGS | PLAIN_FLAGS)) &&
	    mount_tree_set(tree, attrs_of(mount, options), attrs_cleared(options), false) < 0)
		return error_errno(err, "cannot set the attributes of \"%s\"", mount->destination);
	return take_fd(&tree);
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
			                 "filesystem \"%s\" must be mounted on ordinary directory",
			                 mount->destination);
		*mode = st.st_mode & 07777;
	}
	return in_root_make(root, mount->destination, S_IFDIR, 0755, err);
}

/* What the file system is told, mount(2)'s flags of it included. */
static char *file_system_data(const Grpc__Mount *mount, const struct mount_options *options)
{
	static const struct {
		unsigned long flag;
		const char *word;
	} rows[] = {
		{ MS_RDONLY, "ro" },         { MS_SYNCHRONOUS, "sync" }, { MS_DIRSYNC, "dirsync" },
		{ MS_LAZYTIME, "lazytime" }, { MS_MANDLOCK, "mand" },
	};
	unsigned long flags = options->flags;
	char *data = mem_strdup(options->data);
	size_t i;

	/* Something is still to be changed in these: their mounts become read-only, not they. */
	if (!strcmp(mount->type, "tmpfs") || is_dev(mount))
		flags &= ~MS_RDONLY;
	for (i = 0; i < COUNT(rows); i++) {
		char *more;

		if (!(flags & rows[i].flag))
			continue;
		more = mem_printf("%s,%s", data, rows[i].word);
		free(data);
		data = more;
	}
	return data;
}

static int error_file_system(struct error *err, const Grpc__Mount *mount, const char *type,
                             const struct mount_options *options)
{
	return error_errno(err, "cannot mount \"%s\" (%s) on \"%s\" with \"%s\"", mount->source,
	                   type, mount->destination, options->data);
}

/* Where others may have had a hand in it: proc_context_open(). */
static int check_is_proc(int tree, struct error *err)
{
	struct statfs fs;

	if (fstatfs(tree, &fs) < 0)
		return error_errno(err, "cannot stat a new /proc");
	return fs.f_type == PROC_SUPER_MAGIC ? 0
	                                     : error_set(err, ERROR_ABORTED, "a new /proc is none");
}

/* A proc of the pid namespace that the container joins. */
static int joined_proc_tree(const Grpc__Mount *mount, int pid_namespace, const char *data,
                            uint64_t attrs, struct error *err)
{
	autoclose int context = proc_context_open(pid_namespace, err);
	autoclose int tree = -1;
	int r;

	if (context < 0)
		return context;
	tree = mount_tree_make(context, mount->source, data, attrs);
	if (tree < 0)
		return error_errno(err, "cannot mount proc on \"%s\" with \"%s\"",
		                   mount->destination, data);
	r = check_is_proc(tree, err);
	return r < 0 ? r : take_fd(&tree);
}

/*
 * A tmpfs that is told no mode takes that of the directory that it covers, and must not be
 * read-only before it has.
 */
static int file_system_tree(const struct mounts_place *place, const Grpc__Mount *mount,
                            const struct mount_options *options, int *target, struct error *err)
{
	const char *type = !strcmp(mount->type, "cgroup") ? "cgroup2" : mount->type;
	autofree char *data = file_system_data(mount, options);
	uint64_t attrs = attrs_of(mount, options);
	char path[IN_ROOT_PATH_SIZE];
	autoclose int tree = -1;
	int mode;

	*target = make_target(place->root, mount, &mode, err);
	if (*target < 0)
		return *target;
	if (place->pid_namespace >= 0 && !strcmp(type, "proc")) {
		tree = joined_proc_tree(mount, place->pid_namespace, data, attrs, err);
		return tree < 0 ? tree : take_fd(&tree);
	}
	tree = mount_tree_new(type, mount->source, data, attrs & ~MOUNT_ATTR_RDONLY);
	if (tree < 0)
		return error_file_system(err, mount, type, options);
	if (!strcmp(type, "tmpfs") && mode >= 0 && !has_mode(options) &&
	    chmod(in_root_path(tree, path), mode) < 0)
		return error_errno(err, "cannot set the mode of \"%s\"", mount->destination);
	if (mount_tree_set(tree, attrs & MOUNT_ATTR_RDONLY, 0, false) < 0)
		return error_errno(err, "cannot set the attributes of \"%s\"", mount->destination);
	return take_fd(&tree);
}

/* "remount": what is mounted there by now gets other options. */
static int change_file_system(int root, const Grpc__Mount *mount,
                              const struct mount_options *options, struct error *err)
{
	autofree char *told = file_system_data(mount, options);
	autofree char *data = mem_printf("rw,%s", told); /* unless it says otherwise after it */
	autoclose int fd = in_root_open(root, mount->destination, O_PATH);

	errno = fd < 0 ? -fd : 0;
	if (fd < 0 || mount_tree_change(fd, data) < 0 ||
	    mount_tree_set(fd, attrs_of(mount, options), attrs_cleared(options), false) < 0)
		return error_errno(err, "cannot remount \"%s\" with \"%s\"", mount->destination,
		                   options->data);
	return 0;
}

/* The propagation comes last: what is attached to a shared mount becomes shared. */
static int attach(int root, int tree, int target, const Grpc__Mount *mount,
                  const struct mount_options *options, struct error *err)
{
	uint64_t set = options->attr_set;
	size_t i;
	int r;

	r = check_target(root, target, mount, err);
	if (r < 0)
		return r;
	if (is_own_dev(mount, options))
		set &= ~MOUNT_ATTR_RDONLY;
	if (mount_tree_set(tree, set, options->attr_clear, true) < 0)
		return error_errno(err, "cannot set the attributes of \"%s\"", mount->destination);
	if (mount_tree_attach(tree, target) < 0)
		return error_errno(err, "cannot mount \"%s\" on \"%s\"", mount->source,
		                   mount->destination);
	for (i = 0; i < options->n_propagation; i++)
		if (mount_tree_propagate(tree, options->propagation[i]) < 0)
			return error_errno(err, "cannot set the propagation of \"%s\"",
			                   mount->destination);
	return 0;
}

static int add_mount(const struct mounts_place *place, const Grpc__Mount *mount,
                     const struct mount_options *options, struct error *err)
{
	autoclose int target = -1;
	autoclose int tree = -1;

	if (is_bind(mount, options))
		tree = bind_tree(place->root, mount, options, &target, err);
	else
		tree = file_system_tree(place, mount, options, &target, err);
	return tree < 0 ? tree : attach(place->root, tree, target, mount, options, err);
}

static int make_mount(const struct mounts_place *place, const Grpc__Mount *mount, struct error *err)
{
	struct mount_options options;
	int r = parse(mount, &options, err);

	if (r < 0)
		return r;
	if ((options.flags & MS_REMOUNT) && !is_bind(mount, &options))
		r = change_file_system(place->root, mount, &options, err);
	else
		r = add_mount(place, mount, &options, err);
	mount_options_fini(&options);
	return r;
}

int mounts_make(const struct mounts_place *place, const Grpc__Spec *spec, struct error *err)
{
	size_t i;
	int r;

	for (i = 0; i < spec->n_mounts; i++) {
		r = make_mount(place, spec->mounts[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int finish_dev(int root, const Grpc__Mount *mount, struct error *err)
{
	struct mount_options options;
	autoclose int fd = -1;
	bool read_only;
	int r = parse(mount, &options, err);

	if (r < 0)
		return r;
	read_only = is_own_dev(mount, &options) &&
	            ((options.flags & MS_RDONLY) || (options.attr_set & MOUNT_ATTR_RDONLY));
	mount_options_fini(&options);
	if (!read_only)
		return 0;
	fd = in_root_open(root, mount->destination, O_PATH);
	errno = fd < 0 ? -fd : 0;
	if (fd < 0 || mount_tree_set(fd, MOUNT_ATTR_RDONLY, 0, false) < 0)
		return error_errno(err, "cannot make \"%s\" read-only", mount->destination);
	return 0;
}

int mounts_finish(int root, const Grpc__Spec *spec, struct error *err)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < spec->n_mounts; i++)
		if (is_dev(spec->mounts[i]))
			r = finish_dev(root, spec->mounts[i], err);
	return r;
}
