#include "shim/storage/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "shim/storage/bind_mount.h"
#include "shim/storage/host_disks.h"
#include "shim/storage/rootfs_options.h"
#include "shim/storage/volumes.h"

#define ROOTFS   ROOTFS_NAME
#define DIR_MODE 0755
#define CONTEXT  "cannot mount the container's file systems" /* of error texts */

enum rootfs_state {
	ROOTFS_MOUNTING,
	ROOTFS_STOPPING, /* unmounting waits for the end of the child that mounts or tidies */
	ROOTFS_TIDYING,  /* all is mounted; what others have left meanwhile goes */
	ROOTFS_UNDOING,  /* a mount has failed; its parts go */
	ROOTFS_UNMOUNTING,
	ROOTFS_IDLE, /* mounted or not: no child runs */
};

struct rootfs {
	struct ev_loop *loop;
	enum rootfs_state state;
	char *dir;
	struct volumes *volumes; /* NULL: none */
	struct errand *errand;
	int timeout_ms;
	struct error cause; /* of undoing */
	done_fn *done;
	void *ctx;
};

/*
 * In the child. The guest can write to the share: below it no link is followed, and what is mounted
 * on is a descriptor.
 */
static int open_parent(const char *dir, struct error *err)
{
	const char *name;
	autoclose int fd = file_open_parent(AT_FDCWD, dir, &name);

	if (name == dir || !*name)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid share directory \"%s\": not a path with a name", dir);
	return fd < 0 ? error_errno(err, "cannot open the directory of \"%s\"", dir) : take_fd(&fd);
}

static const char *last_name(const char *dir)
{
	return strrchr(dir, '/') + 1;
}

static int open_dir(const char *dir, bool make, struct error *err)
{
	autoclose int parent = open_parent(dir, err);
	int fd;

	if (parent < 0)
		return parent;
	if (make && mkdirat(parent, last_name(dir), DIR_MODE) < 0 && errno != EEXIST)
		return error_errno(err, "cannot make directory \"%s\"", dir);
	fd = openat(parent, last_name(dir), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? error_errno(err, "cannot open \"%s\"", dir) : fd;
}

static int bind_rootfs(const char *source, const struct bind_mount_options *options, int dirfd,
                       struct error *err)
{
	autoclose int mount = bind_mount_open(source, options, err);

	return mount < 0 ? mount : bind_mount_attach(mount, dirfd, ROOTFS, err);
}

/* Opened anew for each mount: it is the root of the one before. */
static int mount_file_system(const Containerd__Types__Mount *entry,
                             const struct rootfs_options *options, int dirfd, struct error *err)
{
	autoclose int target = -1;
	char path[64];

	if (mkdirat(dirfd, ROOTFS, DIR_MODE) < 0 && errno != EEXIST)
		return error_errno(err, "cannot make directory \"" ROOTFS "\"");
	target = openat(dirfd, ROOTFS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return error_errno(err, "cannot open \"" ROOTFS "\"");
	if (options->dir && chdir(options->dir) < 0)
		return error_errno(err, "cannot change to \"%s\"", options->dir);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	if (mount(entry->source, path, entry->type, options->flags | SERVED_MOUNT_FLAGS,
	          options->data) < 0)
		return error_errno(err, "cannot mount \"%s\" (%s)", entry->source, entry->type);
	return 0;
}

static int mount_bind(const Containerd__Types__Mount *entry, const struct rootfs_options *options,
                      int dirfd, struct error *err)
{
	struct bind_mount_options bind = {
		.recursive = options->flags & MS_REC,
		.read_only = options->flags & MS_RDONLY,
		.flags = options->flags,
	};

	if (*options->data)
		return error_set(err, ERROR_UNIMPLEMENTED, "mount options \"%s\": not supported",
		                 options->data);
	return bind_rootfs(entry->source, &bind, dirfd, err);
}

static int mount_entry(const Containerd__Types__Mount *entry, int dirfd, struct error *err)
{
	struct rootfs_options options;
	int r;

	if (*entry->target)
		return error_set(err, ERROR_UNIMPLEMENTED, "mount target \"%s\": not supported",
		                 entry->target);
	r = rootfs_options_parse(entry->type, entry->options, entry->n_options, &options, err);
	if (r < 0)
		return r;
	if (options.flags & MS_BIND)
		r = mount_bind(entry, &options, dirfd, err);
	else
		r = mount_file_system(entry, &options, dirfd, err);
	rootfs_options_fini(&options);
	return r;
}

static int mount_root(const struct rootfs_config *config, int dirfd, struct error *err)
{
	/* Who copies a file into the container by /proc/PID/root is told that he cannot. */
	static const Containerd__Types__Mount nothing = { .type = (char *)"tmpfs",
		                                          .source = (char *)"in-the-guest" };
	static const struct rootfs_options read_only = { .flags = MS_RDONLY,
		                                         .data = (char *)"size=4k,mode=555" };

	if (config->in_guest)
		return mount_file_system(&nothing, &read_only, dirfd, err);
	if (config->disks)
		return host_disks_mount(config->disks, dirfd, config->dir, ROOTFS, err);
	if (config->n_mounts == 0)
		return bind_rootfs(config->path, &(struct bind_mount_options){ .recursive = true },
		                   dirfd, err);
	for (size_t i = 0; i < config->n_mounts; i++)
		if (mount_entry(config->mounts[i], dirfd, err) < 0)
			return error_wrap(err, "rootfs[%zu]", i);
	return 0;
}

static int mount_volumes(const struct rootfs_config *config, int dirfd, struct buf *result,
                         struct error *err)
{
	autoclose int share = open_parent(config->dir, err);
	autoclose int root = -1;

	if (share < 0)
		return share;
	if (!config->in_guest)
		root = openat(dirfd, ROOTFS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0 && !config->in_guest)
		return error_errno(err, "cannot open \"" ROOTFS "\"");
	return volumes_mount(config->volumes, share, root, result, err);
}

static int mount_all(void *ctx, struct errand_result *result, struct error *err)
{
	const struct rootfs_config *config = ctx;
	autoclose int dirfd = open_dir(config->dir, true, err);
	int r = dirfd < 0 ? dirfd : mount_root(config, dirfd, err);

	if (r == 0 && config->volumes)
		r = mount_volumes(config, dirfd, &result->bytes, err);
	return r;
}

static int unmount_below(int dirfd, const char *dir, struct error *err)
{
	if (fchdir(dirfd) < 0)
		return error_errno(err, "cannot change to \"%s\"", dir);
	while (umount2(ROOTFS, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT)
		return error_errno(err, "cannot unmount \"%s/" ROOTFS "\"", dir);
	return 0;
}

/* Also after half a mount, and when nothing is there, or something that the guest has made. */
static int unmount_all(void *ctx, struct errand_result *result, struct error *err)
{
	const struct rootfs *rootfs = ctx;
	const char *dir = rootfs->dir;
	autoclose int parent = open_parent(dir, err);
	autoclose int dirfd = open_dir(dir, false, err);
	int r = dirfd < 0 ? dirfd : unmount_below(dirfd, dir, err);

	if (parent < 0)
		return parent;
	if (r < 0 && r != -ENOENT && r != -ENOTDIR)
		return r;
	r = rootfs->volumes ? volumes_unmount(rootfs->volumes, parent, err) : 0;
	return r < 0 ? r : file_remove_tree(parent, last_name(dir), err);
}

/* In the parent. */
static void finish(struct rootfs *rootfs, const struct error *err)
{
	errand_destroy(take_ptr(&rootfs->errand));
	rootfs->state = ROOTFS_IDLE;
	rootfs->done(rootfs->ctx, err);
}

static void unmounted(void *ctx, const struct error *err)
{
	struct rootfs *rootfs = ctx;

	if (rootfs->state == ROOTFS_UNDOING) {
		if (err)
			log_warn("undo the mounts of a container: %s", err->text);
		err = &rootfs->cause;
	}
	finish(rootfs, err);
}

static int start(struct rootfs *rootfs, errand_fn *work, void *work_ctx, done_fn *done,
                 struct error *err)
{
	errand_destroy(take_ptr(&rootfs->errand));
	return errand_start(rootfs->loop, work, work_ctx, rootfs->timeout_ms, done, rootfs,
	                    &rootfs->errand, err);
}

static int start_unmount(struct rootfs *rootfs, struct error *err)
{
	if (rootfs->volumes)
		volumes_leave(rootfs->volumes);
	return start(rootfs, unmount_all, rootfs, unmounted, err);
}

/* In a child. */
static int unmount_unused(void *ctx, struct errand_result *result, struct error *err)
{
	const struct rootfs *rootfs = ctx;
	autoclose int share = open_parent(rootfs->dir, err);

	return share < 0 ? share : volumes_unmount(rootfs->volumes, share, err);
}

static void tidied(void *ctx, const struct error *err)
{
	struct rootfs *rootfs = ctx;
	struct error cause;

	if (err)
		log_warn("unmount what no container uses any more: %s", err->text);
	if (rootfs->state == ROOTFS_TIDYING) {
		finish(rootfs, NULL);
		return;
	}
	rootfs->state = ROOTFS_UNMOUNTING;
	if (start_unmount(rootfs, &cause) < 0)
		unmounted(rootfs, &cause);
}

static void take_over(struct rootfs *rootfs)
{
	struct error err;

	if (rootfs->volumes)
		volumes_mounted(rootfs->volumes, &errand_result(rootfs->errand)->bytes);
	rootfs->state = ROOTFS_TIDYING;
	if (!rootfs->volumes || !volumes_take_unused(rootfs->volumes))
		tidied(rootfs, NULL);
	else if (start(rootfs, unmount_unused, rootfs, tidied, &err) < 0)
		tidied(rootfs, &err);
}

static void mounted(void *ctx, const struct error *err)
{
	struct rootfs *rootfs = ctx;
	struct error cause;

	if (!err && rootfs->state == ROOTFS_MOUNTING) {
		take_over(rootfs);
		return;
	}
	if (rootfs->state == ROOTFS_MOUNTING) {
		rootfs->state = ROOTFS_UNDOING;
		error_copy(&rootfs->cause, err);
		error_wrap(&rootfs->cause, CONTEXT);
	} else {
		rootfs->state = ROOTFS_UNMOUNTING;
	}
	if (start_unmount(rootfs, &cause) < 0)
		unmounted(rootfs, &cause);
}

int rootfs_mount(struct ev_loop *loop, const struct rootfs_config *config, done_fn *done, void *ctx,
                 struct rootfs **out, struct error *err)
{
	autodestroy(rootfs) struct rootfs *rootfs = mem_new(struct rootfs);
	int r;

	rootfs->volumes = config->volumes;
	if (config->n_mounts > ROOTFS_MOUNTS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 CONTEXT ": %zu rootfs mounts are more than %d", config->n_mounts,
		                 ROOTFS_MOUNTS_MAX);
	if (rootfs->volumes)
		volumes_begin(rootfs->volumes, config->volume_table, config->volume_copies);
	rootfs->loop = loop;
	rootfs->state = ROOTFS_MOUNTING;
	rootfs->dir = mem_strdup(config->dir);
	rootfs->timeout_ms = config->timeout_ms;
	rootfs->done = done;
	rootfs->ctx = ctx;
	r = start(rootfs, mount_all, (void *)config, mounted, err);
	if (r < 0)
		return error_wrap(err, CONTEXT);
	*out = take_ptr(&rootfs);
	return 0;
}

struct volumes *rootfs_volumes(const struct rootfs *rootfs)
{
	return rootfs->volumes;
}

int rootfs_unmount(struct rootfs *rootfs, int timeout_ms, done_fn *done, void *ctx,
                   struct error *err)
{
	rootfs->done = done;
	rootfs->ctx = ctx;
	rootfs->timeout_ms = timeout_ms;
	if (rootfs->state == ROOTFS_UNDOING) { /* which is what is asked for */
		rootfs->state = ROOTFS_UNMOUNTING;
		return 0;
	}
	if (rootfs->state == ROOTFS_TIDYING) {
		rootfs->state = ROOTFS_STOPPING;
		return 0;
	}
	if (rootfs->state == ROOTFS_MOUNTING) {
		rootfs->state = ROOTFS_STOPPING;
		errand_cancel(rootfs->errand);
		return 0;
	}
	rootfs->state = ROOTFS_UNMOUNTING;
	if (start_unmount(rootfs, err) < 0) {
		rootfs->state = ROOTFS_IDLE;
		return error_wrap(err, "cannot unmount the container's file systems");
	}
	return 0;
}

void rootfs_destroy(struct rootfs *rootfs)
{
	if (!rootfs)
		return;
	errand_destroy(rootfs->errand);
	volumes_destroy(rootfs->volumes);
	free(rootfs->dir);
	free(rootfs);
}
