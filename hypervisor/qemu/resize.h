/*
 * How much memory and how many processors a QEMU has whose guest runs. One change of each is under
 * way at a time.
 */
#ifndef HYPERVISOR_QEMU_RESIZE_H
#define HYPERVISOR_QEMU_RESIZE_H

#include <jansson.h>
#include <stdint.h>

#include "common/error.h"

struct ev_loop;
struct qmp;
struct resize;

struct resize *resize_create(struct ev_loop *loop);
void resize_destroy(struct resize *resize); /* NULL is fine; drops callbacks */

/* As of hotplug.h. */
void resize_connect(struct resize *resize, struct qmp *qmp);
void resize_disconnect(struct resize *resize, const struct error *why);
void resize_on_event(struct resize *resize, const char *name, const json_t *data);

/*
 * Gives the guest @mib of the memory device @id. @done is called when the guest has taken, or given
 * back, as much; with an error after @timeout_ms, and it keeps what it has by then.
 */
int resize_memory(struct resize *resize, const char *id, uint64_t mib, int timeout_ms,
                  done_fn *done, void *ctx, struct error *err);

/*
 * Plugs processors until there are @count. Some of them may have come when @done gets an error. The
 * guest sees them soon after, and decides when they run.
 */
int resize_vcpus(struct resize *resize, unsigned int count, int timeout_ms, done_fn *done,
                 void *ctx, struct error *err);

#endif
