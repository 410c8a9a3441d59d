/*
 * A scope of systemd: the cgroup of a client that asks for one by "SLICE:PREFIX:NAME". systemd makes
 * it with a process in it, and removes it when the last has gone.
 *
 * A child process asks systemd by D-Bus, systemd-run(1), which is there wherever systemd runs. It
 * executes in the new scope, moves the caller there, and ends.
 */
#ifndef SHIM_SYSTEMD_SCOPE_H
#define SHIM_SYSTEMD_SCOPE_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

struct cgroup_mounts;
struct ev_loop;
struct systemd_scope;

#define SYSTEMD_RUN "/usr/bin/systemd-run"

struct systemd_scope_config {
	const char *program; /* SYSTEMD_RUN */
	const char *slice;
	const char *unit;
	const char *dir;                    /* of the scope below a hierarchy */
	const struct cgroup_mounts *mounts; /* for the call alone */
	int timeout_ms;
};

/* Whether systemd runs here (sd_booted(3)). */
bool systemd_runs(void);

/* @done is called once, from the loop: this process is in the scope's cgroup, in the hierarchy that is
 * systemd's own. Destroying the scope in it is allowed. */
int systemd_scope_start(struct ev_loop *loop, const struct systemd_scope_config *config,
                        done_fn *done, void *ctx, struct systemd_scope **out, struct error *err);
/* NULL is fine; no callback. The scope itself stays as long as there is a process in it. */
void systemd_scope_destroy(struct systemd_scope *scope);

CLEANUP_DESTROY(systemd_scope)

#endif
