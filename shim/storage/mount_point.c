#include "shim/storage/mount_point.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/mem.h"

#define MODE_FILE 0755 /* the agent's */

/* A path that is no other's in other words. */
static bool is_plain(const char *path)
{
	return path[0] == '/' && !strstr(path, "//") && !strstr(path, "/.") &&
	       path[strlen(path) - 1] != '/';
}

static bool is_above(const char *path, const char *other)
{
	size_t len = strlen(path);

	return !strncmp(path, other, len) && (other[len] == '/' || other[len] == '\0');
}

bool mount_point_is_of_root(const Grpc__Spec *spec, size_t number)
{
	const char *path = spec->mounts[number]->destination;
	bool is = is_plain(path);

	for (size_t i = 0; is && i < spec->n_mounts; i++) {
		const char *other = spec->mounts[i]->destination;

		is = i == number || (is_plain(other) && !is_above(other, path));
	}
	return is;
}

void mount_point_make(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	const char *slash = strrchr(path, '/');
	autofree char *dir = mem_printf("%.*s/", (int)(slash - path), path);
	autoclose int parent = (int)syscall(SYS_openat2, root, dir, &how, sizeof(how));

	if (parent >= 0)
		(void)mknodat(parent, slash + 1, S_IFREG | MODE_FILE, 0);
}
