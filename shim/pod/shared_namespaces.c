#include "shim/pod/shared_namespaces.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"

/* The container whose process's namespace @path is, by /proc/<pid>/ns/<file>; NULL: none of ours. */
static const struct container *container_by_path(const struct pod *pod, const char *path,
                                                 const char *file)
{
	int pid;
	char name[8];
	char end;

	if (sscanf(path, "/proc/%d/ns/%7[a-z]%c", &pid, name, &end) != 2 || strcmp(name, file) != 0)
		return NULL;
	return container_of_pid(pod, pid);
}

static bool is_of_pod(const struct pod *pod, enum shared_namespace kind, const char *path,
                      const struct container *container)
{
	const char *pinned = pod->shared.namespaces[kind];

	if (pinned && strcmp(pinned, path) == 0)
		return true;
	/* All containers are in the pod's network namespace. */
	return container && (container->is_pause || kind == SHARED_NETWORK);
}

/* *@keep: the row stays in the spec. */
static int apply_one(const struct pod *pod, Grpc__LinuxNamespace *row, size_t number, bool *keep,
                     const char **pid_of, struct error *err)
{
	enum shared_namespace kind = shared_namespace_of(row->type);
	const struct container *container;

	*keep = true;
	if (!*row->path || kind == SHARED_NAMESPACES)
		return 0;
	container = container_by_path(pod, row->path, shared_namespace_file(kind));
	if (is_of_pod(pod, kind, row->path, container)) {
		*keep = kind == SHARED_NETWORK;
		*row->path = '\0';
	} else if (container && kind == SHARED_PID) {
		*keep = false;
		*pid_of = container->id;
	} else {
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "linux.namespaces[%zu] %s: joining \"%s\": not supported; it is "
		                 "none of the pod's",
		                 number, row->type, row->path);
	}
	return 0;
}

int shared_namespaces_apply(const struct pod *pod, Grpc__Spec *spec, const char **pid_of,
                            struct error *err)
{
	Grpc__Linux *linux = spec->linux;
	size_t kept = 0;
	int r = 0;

	*pid_of = NULL;
	for (size_t i = 0; linux && i < linux->n_namespaces; i++) {
		Grpc__LinuxNamespace *row = linux->namespaces[i];
		bool keep = true;

		if (r == 0)
			r = apply_one(pod, row, i, &keep, pid_of, err);
		if (keep)
			linux->namespaces[kept++] = row;
		else
			grpc__linux_namespace__free_unpacked(row, NULL);
	}
	if (linux)
		linux->n_namespaces = kept;
	return r;
}
