#include "shim/storage/volumes.h"
#include "shim/spec/guest_paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/spec/guest_spec.h"
#include "shim/storage/bind_mount.h"

#define DIR_MODE 0755
#define NAME_LEN 16

struct volume {
	size_t number; /* of the mount in the spec */
	char *source;
	char *destination; /* for error texts */
	struct bind_mount_options options;
};

struct volumes {
	size_t n;
	struct volume *all;
};

/* The later of two that contradict one another counts, as in runc. What is not here is the guest's
 * to do or to refuse. */
static void read_option(const char *option, struct bind_mount_options *out, bool *all)
{
	if (!strcmp(option, "ro"))
		out->read_only = true;
	else if (!strcmp(option, "rro"))
		*all = true;
	else if (!strcmp(option, "rw"))
		out->read_only = false;
	else if (!strcmp(option, "rrw"))
		*all = false;
	else if (!strcmp(option, "rbind"))
		out->recursive = true;
	else if (!strcmp(option, "slave") || !strcmp(option, "rslave"))
		out->follow = true;
	else if (!strcmp(option, "private") || !strcmp(option, "rprivate"))
		out->follow = false;
}

static int read_options(const Grpc__Mount *mount, size_t number, struct bind_mount_options *out,
                        struct error *err)
{
	bool all = false; /* read-only: the guest sees no difference */

	for (size_t i = 0; i < mount->n_options; i++) {
		const char *option = mount->options[i];

		if (!strcmp(option, "shared") || !strcmp(option, "rshared"))
			return error_set(err, ERROR_UNIMPLEMENTED,
			                 "mounts[%zu] \"%s\": option \"%s\": not supported; mounts "
			                 "made in the guest do not reach the host",
			                 number, mount->destination, option);
		read_option(option, out, &all);
	}
	out->read_only |= all;
	return 0;
}

static int take_one(Grpc__Mount *mount, size_t number, const char *id, const char *bundle_dir,
                    struct volume *volume, struct error *err)
{
	int r = read_options(mount, number, &volume->options, err);

	if (r < 0)
		return r;
	if (!*mount->source)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "mounts[%zu] \"%s\": a bind without a source", number,
		                 mount->destination);
	volume->number = number;
	volume->destination = mem_strdup(mount->destination);
	if (mount->source[0] == '/')
		volume->source = mem_strdup(mount->source);
	else
		volume->source = mem_printf("%s/%s", bundle_dir, mount->source);
	free(mount->source);
	mount->source = mem_printf(GUEST_SHARE "/%s/" VOLUMES_DIR "/%zu", id, number);
	return 0;
}

/* Replaces the source of a mount of the pod's /dev/shm. */
static bool take_shm(Grpc__Mount *mount, const char *shm)
{
	if (!shm || strcmp(mount->source, shm) != 0)
		return false;
	free(mount->source);
	mount->source = mem_strdup(GUEST_SHM);
	return true;
}

int volumes_take(Grpc__Spec *spec, const char *id, const char *bundle_dir, const char *shm,
                 struct volumes **out, struct error *err)
{
	autodestroy(volumes) struct volumes *volumes = mem_new(struct volumes);

	for (size_t i = 0; i < spec->n_mounts; i++) {
		int r;

		if (!guest_spec_is_bind(spec->mounts[i]) || take_shm(spec->mounts[i], shm))
			continue;
		if (volumes->n == VOLUMES_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "mounts[%zu] \"%s\": more than %d bind mounts", i,
			                 spec->mounts[i]->destination, VOLUMES_MAX);
		volumes->all = mem_realloc(volumes->all, (volumes->n + 1) * sizeof(*volumes->all));
		volumes->all[volumes->n] = (struct volume){ 0 };
		r = take_one(spec->mounts[i], i, id, bundle_dir, &volumes->all[volumes->n++], err);
		if (r < 0)
			return r;
	}
	*out = volumes->n > 0 ? take_ptr(&volumes) : NULL;
	return 0;
}

void volumes_destroy(struct volumes *volumes)
{
	if (!volumes)
		return;
	for (size_t i = 0; i < volumes->n; i++) {
		free(volumes->all[i].source);
		free(volumes->all[i].destination);
	}
	free(volumes->all);
	free(volumes);
}

static int check_type(int mount, const char *source, struct error *err)
{
	struct stat st;

	if (fstat(mount, &st) < 0)
		return error_errno(err, "cannot stat \"%s\"", source);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "bind of \"%s\", neither a file nor a directory: not supported",
		                 source);
	return 0;
}

static int mount_one(const struct volume *volume, int dirfd, struct error *err)
{
	autoclose int mount = bind_mount_open(volume->source, &volume->options, err);
	char name[NAME_LEN];
	int r;

	if (mount < 0)
		return mount;
	r = check_type(mount, volume->source, err);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%zu", volume->number);
	return bind_mount_attach(mount, dirfd, name, err);
}

int volumes_mount(const struct volumes *volumes, int dirfd, struct error *err)
{
	autoclose int mounts = -1;

	if (mkdirat(dirfd, VOLUMES_DIR, DIR_MODE) < 0)
		return error_errno(err, "cannot make directory \"" VOLUMES_DIR "\"");
	mounts = openat(dirfd, VOLUMES_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (mounts < 0)
		return error_errno(err, "cannot open \"" VOLUMES_DIR "\"");
	for (size_t i = 0; i < volumes->n; i++)
		if (mount_one(&volumes->all[i], mounts, err) < 0)
			return error_wrap(err, "mounts[%zu] \"%s\"", volumes->all[i].number,
			                  volumes->all[i].destination);
	return 0;
}

int volumes_unmount(int dirfd, struct error *err)
{
	autoclose int fd =
		openat(dirfd, VOLUMES_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *mounts;

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, "cannot open \"" VOLUMES_DIR "\"");
	if (fchdir(fd) < 0)
		return error_errno(err, "cannot change to \"" VOLUMES_DIR "\"");
	mounts = fdopendir(fd);
	if (!mounts)
		return error_errno(err, "cannot read \"" VOLUMES_DIR "\"");
	take_fd(&fd);
	while ((entry = readdir(mounts)))
		if (entry->d_name[0] != '.')
			while (umount2(entry->d_name, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
				;
	closedir(mounts);
	return 0;
}
