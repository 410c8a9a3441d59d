#include "agent/pod/bound_files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/loop/errand.h"

static bool is_bind(const Grpc__Mount *mount)
{
	return strcmp(mount->type, "bind") == 0;
}

bool bound_files_any(const Grpc__Spec *spec)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (is_bind(spec->mounts[i]))
			return true;
	return false;
}

/* FUSE drops what it has of a file whose size or time is another. A directory has nothing to drop. */
static void refresh(const char *path)
{
	struct statx known;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &known) == 0 &&
	    S_ISREG(known.stx_mode))
		(void)!statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_FORCE_SYNC,
		             STATX_BASIC_STATS, &known);
}

static int refresh_all(void *ctx, struct errand_result *result, struct error *err)
{
	const Grpc__Spec *spec = ctx;

	for (size_t i = 0; i < spec->n_mounts; i++)
		if (is_bind(spec->mounts[i]))
			refresh(spec->mounts[i]->source);
	return 0;
}

int bound_files_refresh(struct ev_loop *loop, const Grpc__Spec *spec, done_fn *done, void *ctx,
                        struct errand **out, struct error *err)
{
	return errand_start(loop, refresh_all, (void *)spec, BOUND_FILES_TIMEOUT_MS, done, ctx, out,
	                    err);
}
