/*
 * The devices of a QEMU that can come and go while its guest runs, each on a root port of its own.
 * A device is plugged or unplugged by a sequence of QMP commands. Of one device one such operation
 * is under way at a time; several devices do not wait for each other.
 */
#ifndef HYPERVISOR_QEMU_HOTPLUG_H
#define HYPERVISOR_QEMU_HOTPLUG_H

#include <jansson.h>

#include "common/error.h"
#include "hypervisor/vm_device.h"

struct ev_loop;
struct hotplug;
struct qmp;

/* @ports: root ports, as many as there can be devices at once. */
struct hotplug *hotplug_create(struct ev_loop *loop, int ports);
void hotplug_destroy(struct hotplug *hotplug); /* NULL is fine; drops callbacks */

/* From now on commands go over @qmp, which stays the caller's. */
void hotplug_connect(struct hotplug *hotplug, struct qmp *qmp);

/* QEMU has gone, or takes no commands any more: each operation under way ends with @why, and @qmp
 * is not used again. */
void hotplug_disconnect(struct hotplug *hotplug, const struct error *why);

/* A port for a device on QEMU's command line, which may be unplugged as any other; or -errno. */
int hotplug_assign(struct hotplug *hotplug, const struct vm_device *device, struct error *err);

/*
 * Plugs @device in; the guest sees it soon after. What @device points to is the caller's, who may
 * free it at once, and close its descriptor. @done gets what QEMU answered, after @timeout_ms at
 * the latest.
 */
int hotplug_plug(struct hotplug *hotplug, const struct vm_device *device, int timeout_ms,
                 done_fn *done, void *ctx, struct error *err);

/*
 * Asks the guest to let go of the device; @done is called when it has, and QEMU has closed the
 * device's descriptor. A guest that keeps it for @timeout_ms is an error: the device stays, and may
 * be asked for again.
 */
int hotplug_unplug(struct hotplug *hotplug, const char *id, int timeout_ms, done_fn *done,
                   void *ctx, struct error *err);

/* How many more devices can be plugged. */
unsigned int hotplug_free_ports(const struct hotplug *hotplug);

/* The disk @id has @bytes on the host now: QEMU is told, and tells the guest. What it refuses is
 * logged. */
int hotplug_resize_disk(struct hotplug *hotplug, const char *id, uint64_t bytes, struct error *err);

/* The port that a device is on, or is about to be; or -errno. */
int hotplug_find(const struct hotplug *hotplug, const char *id, struct error *err);

/* For each event of QMP. */
void hotplug_on_event(struct hotplug *hotplug, const char *name, const json_t *data);

#endif
