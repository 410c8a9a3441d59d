/*
 * The agent's announcement (proto/vsock_ports.h): its first connection to the host, which says
 * that its listeners are up, so that the host need not poll for them.
 */
#ifndef SHIM_HELLO_H
#define SHIM_HELLO_H

#include <stdint.h>

#include "common/error.h"

struct ev_loop;
struct hello;
struct vsock;

/*
 * Listens, and calls @done once: an agent has announced itself, none has within @timeout_ms, or the
 * guest has sent too many invalid announcements. After that no process listens to the guest. The
 * connection is kept until hello_destroy(), which comes before the vsock's end.
 */
int hello_await(struct ev_loop *loop, struct vsock *vsock, uint32_t guest_cid, int timeout_ms,
                done_fn *done, void *ctx, struct hello **out, struct error *err);
unsigned int hello_features(const struct hello *hello); /* enum feature; once it is @done */
void hello_cancel(struct hello *hello);                 /* drops the callback */
void hello_destroy(struct hello *hello);                /* NULL is fine */

#endif
