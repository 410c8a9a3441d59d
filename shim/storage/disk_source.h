/*
 * What becomes a disk of the machine: a block device of the host, by its number or its path, or a
 * file. It is opened by the shim, whose descriptor the VMM gets: no name is looked up twice.
 */
#ifndef SHIM_DISK_SOURCE_H
#define SHIM_DISK_SOURCE_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

struct disk_source {
	const char *path; /* NULL: the block device @number */
	dev_t number;
	bool read_only;
};

/*
 * Returns a descriptor, read-only also where the device is. For a child process: it may block.
 * ERROR_INVALID_ARGUMENT: it is neither a regular file nor a block device;
 * ERROR_NOT_FOUND: there is no such device, or no medium in it.
 */
int disk_source_open(const struct disk_source *source, struct error *err);

#endif
