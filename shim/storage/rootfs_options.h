/*
 * Mount options as fstab(5) and containerd write them, as mount(2) wants them.
 */
#ifndef SHIM_ROOTFS_OPTIONS_H
#define SHIM_ROOTFS_OPTIONS_H

#include <stddef.h>

#include "common/cleanup.h"

struct error;

struct rootfs_options {
	unsigned long flags; /* MS_*; MS_BIND and MS_REC among them */
	char *data;          /* what is left, for the file system; may be empty */
	char *dir;           /* where @data's relative paths start (chdir() there); NULL: none */
};

/*
 * ERROR_UNIMPLEMENTED names an option that is none of the file system's and that we cannot do.
 * ERROR_INVALID_ARGUMENT: more data than a page, which is all that mount(2) reads.
 *
 * The layers of an overlay are written relative to the directory that they have in common: a page
 * has room for some dozens of absolute paths only.
 */
int rootfs_options_parse(const char *type, char *const *options, size_t n,
                         struct rootfs_options *out, struct error *err);
void rootfs_options_fini(struct rootfs_options *options);

#endif
