/*
 * Hooks that run in the container (runtime-spec config.md, "POSIX-platform Hooks"): createContainer
 * before the container is told to be created, startContainer right before its process executes.
 *
 * Both run with the privileges of that process, which the child has by then: root directory, user,
 * capabilities, limits, and the filter; where that can only be installed last (launch_child.c), each
 * hook installs it for itself. So a program of the image can do no more as a hook than the process
 * can. (runc runs createContainer as root, but a program of the host.)
 */
#ifndef AGENT_CONTAINER_HOOKS_H
#define AGENT_CONTAINER_HOOKS_H

#include "proto/oci.pb-c.h"

struct error;
struct seccomp;

struct container_hooks {
	const char *name; /* of the list in config.json: "startContainer" */
	Grpc__Hook *const *all;
	size_t n;
	const char *container_id;
	const char *version; /* of the specification */
	const char *status;  /* that the state on standard input tells */
	const struct seccomp
		*filter; /* for the hooks alone; NULL: none, or the caller has it by now */
};

/* Whether each is a file that can be executed: "hooks.startContainer[0].path "/x": …". */
int container_hooks_check(const struct container_hooks *hooks, struct error *err);

/*
 * Runs them one after the other and waits for each; what they print is for the text of an error. A
 * hook without a timeout has CONTAINER_HOOK_TIMEOUT_S. The first that fails ends it.
 */
int container_hooks_run(const struct container_hooks *hooks, struct error *err);

#define CONTAINER_HOOK_TIMEOUT_S 120

#endif
