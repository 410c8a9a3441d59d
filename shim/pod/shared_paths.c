#include "shim/pod/shared_paths.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/spec/bundle.h"
#include "shim/spec/guest_paths.h"
#include "shim/spec/guest_spec.h"

#define SHM_DIR "/dev/shm"

static const struct {
	const char *type;
	const char *file;
	bool needed; /* by a sandbox: without it the host's is meant */
} types[SHARED_NAMESPACES] = {
	[SHARED_IPC] = { "ipc", "ipc", true },
	[SHARED_NETWORK] = { "network", "net", true },
	[SHARED_PID] = { "pid", "pid", true },
	[SHARED_UTS] = { "uts", "uts", false },
};

enum shared_namespace shared_namespace_of(const char *type)
{
	unsigned int i = 0;

	while (i < SHARED_NAMESPACES && strcmp(types[i].type, type) != 0)
		i++;
	return i;
}

const char *shared_namespace_file(enum shared_namespace namespace)
{
	return types[namespace].file;
}

static const Grpc__LinuxNamespace *find(const Grpc__Spec *spec, const char *type)
{
	for (size_t i = 0; spec->linux && i < spec->linux->n_namespaces; i++)
		if (!strcmp(spec->linux->namespaces[i]->type, type))
			return spec->linux->namespaces[i];
	return NULL;
}

/* A namespace is its file's inode (namespaces(7)). */
static bool is_own(const char *path, const char *file)
{
	autofree char *own = mem_printf("/proc/self/ns/%s", file);
	struct stat theirs, ours;

	return stat(path, &theirs) == 0 && stat(own, &ours) == 0 && theirs.st_dev == ours.st_dev &&
	       theirs.st_ino == ours.st_ino;
}

static int refuse_host(enum shared_namespace namespace, struct error *err)
{
	return error_set(err, ERROR_UNIMPLEMENTED,
	                 "linux.namespaces: the host's %s namespace (none is named): not supported",
	                 types[namespace].type);
}

static int check_one(const Grpc__Spec *spec, size_t i, struct error *err)
{
	const Grpc__LinuxNamespace *row = find(spec, types[i].type);

	if (!row && types[i].needed)
		return refuse_host(i, err);
	if (row && *row->path && is_own(row->path, types[i].file))
		return error_set(
			err, ERROR_UNIMPLEMENTED,
			"linux.namespaces: the host's %s namespace (\"%s\"): not supported",
			types[i].type, row->path);
	return 0;
}

int shared_paths_check(struct bundle *sandbox, struct error *err)
{
	const Grpc__Spec *spec = bundle_spec(sandbox);

	for (size_t i = 0; i < SHARED_NAMESPACES; i++)
		if (check_one(spec, i, err) < 0)
			return bundle_wrap_error(sandbox, err);
	return 0;
}

static bool binds_shm(const Grpc__Spec *spec)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (!strcmp(spec->mounts[i]->destination, SHM_DIR) &&
		    guest_spec_is_bind(spec->mounts[i]))
			return true;
	return false;
}

int shared_paths_check_single(struct bundle *container, struct error *err)
{
	const Grpc__Spec *spec = bundle_spec(container);

	if (find(spec, types[SHARED_IPC].type) || !binds_shm(spec))
		return 0;
	refuse_host(SHARED_IPC, err);
	return error_wrap(err, "bundle \"%s\": config.json", bundle_dir(container));
}

static void read_shm(struct shared_paths *paths, const Grpc__Spec *spec)
{
	struct statvfs fs;

	for (size_t i = 0; i < spec->n_mounts; i++) {
		const Grpc__Mount *mount = spec->mounts[i];

		if (strcmp(mount->destination, SHM_DIR) != 0 || !guest_spec_is_bind(mount) ||
		    statvfs(mount->source, &fs) < 0)
			continue;
		free(paths->shm);
		paths->shm = mem_strdup(mount->source);
		paths->shm_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	}
}

void shared_paths_init(struct shared_paths *paths, const Grpc__Spec *sandbox)
{
	for (size_t i = 0; i < SHARED_NAMESPACES; i++) {
		const Grpc__LinuxNamespace *row = find(sandbox, types[i].type);

		if (row && *row->path)
			paths->namespaces[i] = mem_strdup(row->path);
	}
	read_shm(paths, sandbox);
}

void shared_paths_set_shm(struct shared_paths *paths, uint64_t bytes)
{
	paths->shm = mem_strdup(GUEST_SHM);
	paths->shm_bytes = bytes;
}

void shared_paths_fini(struct shared_paths *paths)
{
	for (size_t i = 0; i < SHARED_NAMESPACES; i++)
		free(paths->namespaces[i]);
	free(paths->shm);
	*paths = (struct shared_paths){ 0 };
}
