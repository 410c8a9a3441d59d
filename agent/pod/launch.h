/*
 * Launching a container process: a child is cloned into its cgroup and new namespaces, this
 * executable run again, a table of steps down to execve. Namespaces that are there already are
 * joined by the child, a pid namespace last. It stops before execve until launch_run(),
 * as runc's create and start want it. The step that fails comes back through a socket pair with its
 * name and cause; the step's resources die with the child.
 */
#ifndef AGENT_LAUNCH_H
#define AGENT_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "proto/oci.pb-c.h"

struct ev_loop;
struct launch;

struct launch_config {
	const char *id;               /* the container's: names its session keyring */
	const Grpc__Spec *spec;       /* the container's */
	const Grpc__Process *process; /* what to run: spec->process for the container's init */
	const char *rootfs;           /* guest path of the root file system (already mounted) */
	int cgroup_fd;       /* the container's cgroup v2 directory; clone3(2) CLONE_INTO_CGROUP */
	int guest_cgroup_fd; /* the guest's, where a profile is compiled; -1: there is none to do */
	int pid_namespace;   /* that an init joins; -1: as the spec says */
	const struct launch *init; /* the container's, which an exec joins; NULL: this is it */
	int stdio[3]; /* become 0, 1, 2; -1: /dev/null. Unused with process->terminal */
};

/*
 * "Created": the process waits before execve. @console is the pty's master (the callee's) when
 * process->terminal, else -1. On @err the child is gone. ERROR_NOT_FOUND: `exec: "nosuch":
 * executable file not found in $PATH`.
 */
typedef void launch_created_fn(void *ctx, int console, const struct error *err);

/* -EBUSY: no process can be in the cgroup, since it has enabled controllers for those below it.
 * Strings and messages of @config are used during this call only. Owned by the caller; see
 * launch_destroy(). */
int launch_create(struct ev_loop *loop, const struct launch_config *config,
                  launch_created_fn *on_created, void *ctx, struct launch **out, struct error *err);

/* Lets the child go on to execve; @done when it has happened, or with its error. */
int launch_run(struct launch *launch, done_fn *done, void *ctx, struct error *err);

/*
 * In the agent's pid namespace: its child, which is reaped by it, not before the loop runs again.
 * Both are of the process from launch_created_fn on only; until then of what makes it.
 */
pid_t launch_pid(const struct launch *launch);
int launch_pidfd(const struct launch *launch); /* owned by the launch */

/* NULL is fine. Kills the child if it has not passed execve; callbacks are dropped. */
void launch_destroy(struct launch *launch);
CLEANUP_DESTROY(launch)

#endif
