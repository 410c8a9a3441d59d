#include "agent/guest/overlay_storage.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>

#include "agent/base/mount_options.h"
#include "agent/base/mount_tree.h"
#include "common/error.h"
#include "common/file.h"

#define DIRECTORY_MODE 0755

/* NULL: it is another option. */
static const char *directory_of(const char *option)
{
	size_t len = strlen(OVERLAY_STORAGE_DIRECTORY "=");

	return strncmp(option, OVERLAY_STORAGE_DIRECTORY "=", len) ? NULL : option + len;
}

int overlay_storage_check(const Grpc__Storage *storage, struct error *err)
{
	for (size_t i = 0; i < storage->n_driver_options; i++) {
		const char *dir = directory_of(storage->driver_options[i]);

		if (!dir || *dir != '/')
			return error_set(err, ERROR_UNIMPLEMENTED,
			                 "driver option \"%s\": not supported",
			                 storage->driver_options[i]);
	}
	return 0;
}

static int make_directories(const Grpc__Storage *storage, struct error *err)
{
	for (size_t i = 0; i < storage->n_driver_options; i++) {
		int r = file_make_dirs(directory_of(storage->driver_options[i]), DIRECTORY_MODE,
		                       err);

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * fsconfig(2) takes no more than 255 bytes of an option, which is not enough for the layers of an
 * image: mount(2) does, of a page. Its mount is seen in a namespace that goes with this process.
 */
int overlay_storage_make(const Grpc__Storage *storage, struct error *err)
{
	struct mount_options options;
	int tree = -1;
	int r;

	r = make_directories(storage, err);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNS) < 0)
		return error_errno(err, "cannot make a mount namespace");
	r = mount_options_parse(storage->options, storage->n_options, &options, err);
	if (r < 0)
		return r;
	if (mount(storage->source, storage->mount_point, storage->fstype, options.flags,
	          options.data) < 0)
		r = error_errno(err, "cannot make the file system");
	mount_options_fini(&options);
	if (r < 0)
		return r;
	tree = mount_tree_clone(AT_FDCWD, storage->mount_point, false);
	return tree < 0 ? error_errno(err, "cannot take the mount") : tree;
}
