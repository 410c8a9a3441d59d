/*
 * Detects the removal of a bundle: containerd removes it when it gives up a container, and does not
 * ask the shim to end. Polls: inotify would use one of the few instances that root has on a host
 * (inotify(7), max_user_instances).
 */
#ifndef SHIM_BUNDLE_WATCH_H
#define SHIM_BUNDLE_WATCH_H

#include "common/cleanup.h"

struct bundle_watch;
struct ev_loop;

/* Calls @on_gone once, from the loop, when @dir does not exist any more. */
struct bundle_watch *bundle_watch_create(struct ev_loop *loop, const char *dir, int interval_ms,
                                         void (*on_gone)(void *ctx), void *ctx);
void bundle_watch_destroy(struct bundle_watch *watch); /* NULL is fine */

CLEANUP_DESTROY(bundle_watch)

#endif
