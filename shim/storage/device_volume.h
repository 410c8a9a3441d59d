/*
 * A device as the source of a bind, which the guest has of its own (shim/spec/guest_devices.h): the
 * container gets the guest's, with the mode and owner of the host's file.
 */
#ifndef SHIM_DEVICE_VOLUME_H
#define SHIM_DEVICE_VOLUME_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct device_volume {
	dev_t number;
	mode_t mode; /* without its type */
	uid_t uid;
	gid_t gid;
};

/* Whether the file is one. */
bool device_volume_find(const struct stat *file, struct device_volume *out);

/* As a path in the guest's own /dev; free() it. */
char *device_volume_path(const struct device_volume *device);

#endif
