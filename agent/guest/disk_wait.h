/*
 * Waits for disks that the host plugs into the machine: each is known by its place on the PCI bus,
 * and comes when the kernel has found it and its driver is loaded (drivers.h).
 */
#ifndef AGENT_DISK_WAIT_H
#define AGENT_DISK_WAIT_H

#include <stddef.h>

#include "agent/guest/block_device.h"
#include "common/cleanup.h"
#include "common/error.h"

struct disk_wait;
struct ev_loop;
struct uevents;

#define DISK_WAIT_TIMEOUT_MS 30000 /* a busy host under TCG: the driver is loaded from the share */

struct disk_wait_config {
	struct ev_loop *loop;
	struct uevents *uevents;
	const char *root; /* PCI_PATH_SYSFS */
	int timeout_ms;
};

/* All of @config outlives it. */
struct disk_wait *disk_wait_create(const struct disk_wait_config *config);
void disk_wait_destroy(struct disk_wait *wait); /* NULL is fine; drops the callback */

/* One more disk to wait for; returns its number, from 0 on. Before the wait only. */
size_t disk_wait_add(struct disk_wait *wait, const char *path);

/*
 * Calls @done once when all are there, maybe before this returns. ERROR_DEADLINE_EXCEEDED: one does
 * not come; ERROR_INVALID_ARGUMENT: a path is none.
 */
void disk_wait_start(struct disk_wait *wait, done_fn *done, void *ctx);
void disk_wait_cancel(struct disk_wait *wait); /* drops the callback */

const struct block_device *disk_wait_found(const struct disk_wait *wait, size_t number);

CLEANUP_DESTROY(disk_wait)

#endif
