/*
 * Accepts the connections of a listening socket, of any family. A process that is out of
 * descriptors pauses, where the socket would stay readable and the loop spin.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

#include "common/cleanup.h"

struct ev_loop;
struct listener;

/* @fd is the callee's: non-blocking and close-on-exec. The listener may be destroyed in it. */
typedef void listener_accept_fn(void *ctx, int fd);

/* Takes @fd over, and makes it non-blocking. */
struct listener *listener_create(struct ev_loop *loop, int fd, listener_accept_fn *on_accept,
                                 void *ctx);
/* Accepts all that wait now, before this returns: what a peer did first is seen first. The callback
 * does not destroy the listener. */
void listener_accept_all(struct listener *listener);
void listener_destroy(struct listener *listener); /* NULL is fine; closes the socket */

CLEANUP_DESTROY(listener)

#endif
