/*
 * The copies that the guest gets of volumes whose files are exchanged all at once (generations.h), one
 * for each place of volume_table.h, kept up to date while somebody uses it.
 *
 * Polls twice a second: with the second that the guest believes a link an update is seen within two.
 * inotify would use one of the few instances that root has on a host (inotify(7),
 * max_user_instances) for each pod.
 */
#ifndef SHIM_VOLUME_COPIES_H
#define SHIM_VOLUME_COPIES_H

#include <stdint.h>
#include <time.h>

#include "common/cleanup.h"

struct error;
struct ev_loop;
struct volume_copies;

#define VOLUME_COPIES_DIR "copies" /* in the pod's directory: a tmpfs of the shim's */

/* In the directory @dir, which need not be there: then there are no copies. */
struct volume_copies *volume_copies_create(struct ev_loop *loop, const char *dir);
void volume_copies_destroy(struct volume_copies *copies); /* NULL is fine; removes no copy */

/* For a child process. Makes the copy of the directory @source, open as @fd, for @place, and returns
 * it (O_PATH, the caller's), with *@seen for volume_copies_follow(). -1: it is none to copy (a pod
 * itself may have made it), or it cannot be copied. */
int volume_copies_make(const struct volume_copies *copies, uint64_t place, const char *source,
                       int fd, struct timespec *seen);
void volume_copies_remove(const struct volume_copies *copies, uint64_t place);

/* The copy at @place, if it is not yet, is kept up to date with the directory @source from now on. */
void volume_copies_follow(struct volume_copies *copies, uint64_t place, const char *source,
                          const struct timespec *seen);
void volume_copies_forget(struct volume_copies *copies, uint64_t place); /* if there is one */

CLEANUP_DESTROY(volume_copies)

#endif
