/*
 * Drivers of virtio devices that are plugged into the machine while it runs, or that nobody needs at
 * its start: where the kernel has none loaded, the image's module is (modprobe.h). Elsewhere udev does this, since the kernel asks
 * nobody for a driver. No container decides what is loaded: the devices are the host's.
 */
#ifndef AGENT_DRIVERS_H
#define AGENT_DRIVERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

struct drivers;
struct ev_loop;
struct uevents;

#define DRIVERS_DEVICES     "/sys/bus/virtio/devices"
#define DRIVERS_DEVICES_MAX 64 /* devices of a machine, many more than it has ports */

/* Both outlive it. @devices: DRIVERS_DEVICES, or another directory for tests; @load: what gets the
 * alias of a device, in a child process: false if there is no module. */
struct drivers *drivers_create(struct ev_loop *loop, struct uevents *uevents, const char *devices,
                               bool (*load)(const char *alias));
void drivers_destroy(struct drivers *drivers); /* NULL is fine */

CLEANUP_DESTROY(drivers)

#endif
