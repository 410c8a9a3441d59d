/*
 * /run/kata/<pod>: all that a pod has on disk, 0700. <pod> is the first 32 hex digits of the name
 * of its socket: ids repeat from namespace to namespace, and a Unix socket's path ends at 107 bytes.
 * The id is in a file inside.
 *
 *	id          the container that the pod begins with, and its namespace: "<namespace>/<id>\n"
 *	cgroups     where its cgroup on the host is (host_cgroup.h)
 *	empty/      the root directory of a process that needs no other
 *	copies/     of volumes whose files are exchanged all at once (shim/storage/volume_copies.h)
 *	share/      where the file systems of containers are mounted
 *	view/       what the guest sees: the same, read-only
 *
 * The shim that serves the pod holds the directory from its first step until it has removed it.
 * Nobody else touches the directory or the pod's socket meanwhile, so the end of a pod needs no
 * other lock and never meets a successor of the same name.
 */
#ifndef SHIM_POD_DIR_H
#define SHIM_POD_DIR_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

#define POD_DIR_ROOT "/run/kata"
#define POD_NAME_LEN 32

#define POD_DIR_EMPTY "empty" /* 0700, and nothing is in it */

/*
 * Makes <root>/<pod>, anew: what a killed shim has left there is removed. *@path is free()d by the
 * caller.
 */
int pod_dir_make(const char *root, const char *pod, const char *ns, const char *id, char **path,
                 struct error *err);

/* With the pod's cgroup on the host. A missing directory is no error. Does not descend into mounts
 * (file_remove_tree()). */
int pod_dir_remove(const char *root, const char *pod, struct error *err);

/* By the shim, for as long as the descriptor that is returned is open; no child inherits it. */
int pod_dir_hold(const char *path, struct error *err);
/* Whether a shim holds it. */
bool pod_dir_is_held(const char *root, const char *pod);
/* Returns when no shim holds it any more; false when one still does after @timeout_ms. */
bool pod_dir_wait(const char *root, const char *pod, int timeout_ms);

/*
 * The one lock of @root, which is made if missing, for commands: a command holds it while it
 * makes a pod, or removes one that no shim holds, so that `delete` cannot remove what `start` is
 * making. Blocks; it is held for milliseconds. Returns a descriptor: closing it, in every process
 * that has it, unlocks.
 */
int pod_dir_lock(const char *root, struct error *err);

#endif
