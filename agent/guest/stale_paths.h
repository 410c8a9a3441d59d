/*
 * Paths of the share that the host has removed, or is about to. The guest's kernel keeps what it
 * knows of them, and so virtiofsd a descriptor of each: one of a container's root file system, which
 * thereby stays mounted on the host. It finds out when it is asked for the path again, once its
 * knowledge is older than a second (virtio_fs_cache). So each is looked up once, some time later, by
 * a child process: a file server need not answer.
 */
#ifndef AGENT_STALE_PATHS_H
#define AGENT_STALE_PATHS_H

struct ev_loop;
struct stale_paths;

#define STALE_PATHS_MAX     256 /* more at once: the oldest are left to the kernel */
#define STALE_PATHS_DELAY_S 2.0

/* Called in the child process, with a path. */
typedef void stale_path_fn(const char *path);

stale_path_fn stale_path_look_up;

/* @look: stale_path_look_up(), or a test's. A path is looked up when it is from @delay_s to twice as
 * old. */
struct stale_paths *stale_paths_create(struct ev_loop *loop, double delay_s, stale_path_fn *look);
void stale_paths_destroy(struct stale_paths *paths); /* NULL is fine */

void stale_paths_add(struct stale_paths *paths, const char *path);

#endif
