/*
 * A process of the host that stands for a container or an exec: clients are told its pid, since the
 * real process is in the virtual machine and has none here. It sleeps, as a child of the shim that
 * dies with it, without a privilege, a descriptor or a core dump (shim/placeholder is its program).
 * What clients reach by the pid is the container's: /proc/<pid>/root and /proc/<pid>/ns/net. To
 * kill it means to kill the container.
 */
#ifndef SHIM_PLACEHOLDER_H
#define SHIM_PLACEHOLDER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"

struct ev_loop;
struct placeholder;

struct placeholder_config {
	const char *program; /* the executable's path */
	const char *title;   /* what ps(1) shows; up to a colon it is the process's name */
	const char *root;    /* its root directory, which it keeps busy until it has ended */
	uid_t uid;           /* and gid */
	int network;         /* the network namespace that it enters; -1: an empty one of its own */
};

/* It has ended, and not by us: @status as of proc.h. Called once, from the loop; the placeholder
 * may be destroyed in it. */
typedef void placeholder_lost_fn(void *ctx, int status);

/* Starts it and returns before it runs: placeholder_await(). Strings and the descriptor of @config
 * are the caller's again. */
int placeholder_start(struct ev_loop *loop, const struct placeholder_config *config,
                      placeholder_lost_fn *on_lost, void *ctx, struct placeholder **out,
                      struct error *err);

/* Of its first moment on, and of no other process until it has been lost or ended. */
pid_t placeholder_pid(const struct placeholder *placeholder);

/* Neither is it there any more, nor will it be. */
bool placeholder_is_gone(const struct placeholder *placeholder);

/* Calls @done once, at once or from the loop, when it is what the header says, or with the reason
 * why it is not. At most one waits for it. */
void placeholder_await(struct placeholder *placeholder, done_fn *done, void *ctx);

typedef void placeholder_ended_fn(void *ctx);
/* Kills it and calls @done once, at once or from the loop, when it has gone, after
 * PROC_KILL_GRACE_MS in any case, and after one who waits for its start has got an error. Nobody is
 * told that it was lost. May be asked again: the last who asks is called. NULL: only kills. */
void placeholder_end(struct placeholder *placeholder, placeholder_ended_fn *done, void *ctx);

/* NULL is fine; kills it, and the loop reaps it. No callback comes any more, unless it is destroyed
 * in one. */
void placeholder_destroy(struct placeholder *placeholder);

CLEANUP_DESTROY(placeholder)

#endif
