/*
 * The pod's disks: files and block devices of the host that its machine has as disks. A disk is
 * known by what it is on the host, plugged once for all who use it, and pulled when the last of them
 * has left. With the machine all of them are forgotten: the VMM has held no more than descriptors. A disk that
 * becomes larger or smaller on the host does so in the machine.
 */
#ifndef SHIM_DISKS_H
#define SHIM_DISKS_H

#include <stddef.h>
#include <sys/queue.h>

#include "common/cleanup.h"
#include "common/error.h"

struct disk;
struct disks;
struct ev_loop;
struct vm;

#define DISKS_LOOK_S 1.0

struct disks_config {
	struct ev_loop *loop;
	struct vm *vm;  /* it runs, and outlives the disks' end */
	int timeout_ms; /* of a plug, and of an unplug */
	double look_s;  /* how often their sizes are compared */
};

struct disks *disks_create(const struct disks_config *config);
/* NULL is fine. The machine ends: who waits is answered with @why, and so is who comes later. */
void disks_end(struct disks *disks, const struct error *why);
void disks_destroy(struct disks *disks); /* NULL is fine; it has ended */

enum disk_use_state {
	DISK_USE_NONE,
	DISK_USE_PLUGGING, /* it waits for the disk */
	DISK_USE_HELD,
	DISK_USE_LEAVING, /* it waits for the disk to be pulled */
};

/* One who uses a disk: embedded, zeroed; lives until it has left or been forgotten. */
struct disk_use {
	TAILQ_ENTRY(disk_use) link;
	enum disk_use_state state;
	struct disk *disk; /* but in DISK_USE_NONE */
	done_fn *done;
	void *ctx;
};

/*
 * Plugs what @fd is, a regular file or a block device, unless the machine has it: read-only if the
 * descriptor is. Who wants to read alone shares the disk of one who writes; the other way round a
 * second disk is plugged. The descriptor stays the caller's, who may close it at once. @done comes once, maybe before this returns; with an error @use has
 * no disk.
 */
void disks_plug(struct disks *disks, int fd, struct disk_use *use, done_fn *done, void *ctx);

/* Of a use that holds its disk: where the guest finds it (vm_device_path()). */
const char *disk_use_path(const struct disk_use *use);

/* How many more disks there is room for, if memory is still to be plugged. */
unsigned int disks_room(const struct disks *disks);

/* @use leaves its disk. @done comes once, maybe before this returns: if it was the last, when the
 * machine has the disk no more, or with the reason why it keeps it. */
void disks_unplug(struct disk_use *use, done_fn *done, void *ctx);

/* Drops the callback, and leaves the disk, which is pulled without it. Allowed in every state. */
void disk_use_forget(struct disk_use *use);

CLEANUP_DESTROY(disks)

#endif
