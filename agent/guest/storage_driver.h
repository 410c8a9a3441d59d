/*
 * The kinds of storage (Storage.driver of agent.proto): rows of a table. What has no row is refused
 * by name.
 */
#ifndef AGENT_STORAGE_DRIVER_H
#define AGENT_STORAGE_DRIVER_H

#include <stdbool.h>

#include "proto/agent.pb-c.h"

struct error;

/* A file system on a disk, which is there already (disk_wait.h): @source is its pci_path.h. */
#define STORAGE_DRIVER_DISK "blk"

/*
 * Makes the mount, with its attributes and attached nowhere yet (agent/base/mount_tree.h). Returns
 * its descriptor, or -errno. It may wait, or change its process, only in a child process: with a
 * timeout.
 */
typedef int storage_make_fn(const Grpc__Storage *storage, struct error *err);

struct storage_driver {
	const char *name;   /* as GetGuestDetails tells it; NULL ends a table */
	const char *fstype; /* a driver has a row for each; NULL: any */
	int timeout_ms;     /* then the child process is killed, and nothing has been mounted; 0:
	                       @make waits for nothing, and PID 1 calls it itself */
	storage_make_fn *make;
	bool stays; /* what is mounted stays as long as the list, for those who come later */
};

const struct storage_driver *storage_drivers(void); /* those of this guest */

/* ERROR_UNIMPLEMENTED: no driver of @table does it; ERROR_INVALID_ARGUMENT: it is invalid. */
int storage_driver_find(const struct storage_driver *table, const Grpc__Storage *storage,
                        const struct storage_driver **out, struct error *err);

/* A storage_make_fn: a new file system of the storage's type, source and options. */
int storage_driver_make_file_system(const Grpc__Storage *storage, struct error *err);

#endif
