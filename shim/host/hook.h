/*
 * A program of the host that a container's spec names, with the container's state on its standard
 * input: an OCI hook (runtime-spec config.md, "POSIX-platform Hooks"; runtime.md, "State"). It is a
 * child that ends with the shim, runs behind the shim's system call filter, and has a deadline.
 */
#ifndef SHIM_HOOK_H
#define SHIM_HOOK_H

#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"

struct ev_loop;
struct hook;

#define HOOK_TIMEOUT_MS 120000 /* of one that has no timeout of its own */

struct hook_config {
	const char *path; /* absolute */
	char *const *args;
	size_t n_args; /* 0: the path alone */
	char *const *env;
	size_t n_env;      /* 0: it has that of the shim, as under runc */
	int timeout_ms;    /* 0: HOOK_TIMEOUT_MS */
	const char *dir;   /* the working directory */
	const int *mounts; /* the mount namespace that it runs in; NULL: ours */
	const char *input;
};

/* Strings of @config are used during the call only. @done comes once, from the loop: with NULL when
 * it has exited with status 0, or with how it ended and the last line that it printed. */
int hook_start(struct ev_loop *loop, const struct hook_config *config, done_fn *done, void *ctx,
               struct hook **out, struct error *err);
void hook_destroy(struct hook *hook); /* NULL is fine; kills it, no callback */

CLEANUP_DESTROY(hook)

#endif
