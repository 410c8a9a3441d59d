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
 * back, as much; with an error after @timeout_ms. Then it keeps what it has, and may go on later.
 */
int resize_memory(struct resize *resize, const char *id, uint64_t mib, int timeout_ms,
                  done_fn *done, void *ctx, struct error *err);

/*
 * Plugs processors, or asks the guest for those that came last, until there are @count. Some of them
 * may have come or gone when @done gets an error: the guest keeps one (ACPI), or has not let go of it
 * in @timeout_ms. The guest sees those that come soon after, and decides when they run.
 */
int resize_vcpus(struct resize *resize, unsigned int count, int timeout_ms, done_fn *done,
                 void *ctx, struct error *err);

/* The changes under way wait for the guest no longer: their time is over. */
void resize_hurry(struct resize *resize);

/* What QEMU has said last: 0 before it was asked. */
unsigned int resize_vcpus_there(const struct resize *resize);
uint64_t resize_memory_given(const struct resize *resize); /* bytes of the memory device */

#endif
