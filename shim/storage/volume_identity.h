/*
 * What a bind mount is of: it serves another container whose mount would be of the same.
 */
#ifndef SHIM_VOLUME_IDENTITY_H
#define SHIM_VOLUME_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

struct bind_mount_options;
struct error;

struct volume_identity {
	uint64_t device, inode, mount; /* of the source: statx(2) */
	bool read_only, recursive, follow;
	bool is_directory;
	bool has_mounts; /* below the source: with other mounts there it would be another tree */
};

/* Of a mount, with these options, of the source @fd (O_PATH); @source is for error texts. It may block.
 * ERROR_UNIMPLEMENTED: that is neither a file nor a directory, nor a device of the guest's. */
int volume_identity_read(const char *source, int fd, const struct bind_mount_options *options,
                         struct volume_identity *out, struct error *err);

#endif
