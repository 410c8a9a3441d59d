#include "shim/host/cgroup_oom.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"
#include "shim/host/cgroup_dir.h"
#include "shim/host/host_cgroup.h"

#define UNLIMITED (UINT64_MAX >> 2) /* v1 says so by the largest number of whole pages */

/* The smallest limit from the cgroup @dir up; *@len: how much of @dir is the path of the one that has
 * it. The top of a hierarchy has none, and what is above it is no cgroup. */
static uint64_t find_limit(const char *dir, const char *file, size_t *len)
{
	autofree char *at = mem_strdup(dir);
	uint64_t least = UNLIMITED;
	uint64_t limit;

	for (char *slash = at; slash && cgroup_dir_read(at, file, NULL, &limit) == 0;) {
		if (limit < least) {
			least = limit;
			*len = strlen(at);
		}
		slash = strrchr(at, '/');
		if (slash)
			*slash = '\0';
	}
	return least;
}

bool cgroup_oom_explain(const struct host_cgroup *cgroup, struct error *err)
{
	bool is_v2;
	autofree char *dir = host_cgroup_memory_dir(cgroup, &is_v2);
	uint64_t kills = 0, limit;
	size_t len = 0;

	if (dir)
		cgroup_dir_read(dir, is_v2 ? "memory.events" : "memory.oom_control", "oom_kill",
		                &kills);
	if (kills == 0)
		return false;
	limit = find_limit(dir, is_v2 ? "memory.max" : "memory.limit_in_bytes", &len);
	if (limit == UNLIMITED)
		error_set(err, ERROR_UNAVAILABLE,
		          "the machine was killed: the host is out of memory");
	else
		error_set(err, ERROR_UNAVAILABLE,
		          "the machine was killed: the host's cgroup \"%.*s\" is out of memory, "
		          "limit %" PRIu64 " bytes",
		          (int)len, dir, limit);
	return true;
}
