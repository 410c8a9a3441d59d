/*
 * Bind mounts of the host's files and directories, for a child process (they may block): a mount of
 * its own is made of the source first, private and with its attributes, and then attached; what is
 * mounted or unmounted below the source later stays the host's affair. Who serves it to a guest has
 * no use for devices and executables in it: of these none can be opened or run by way of the mount,
 * whatever a guest has made. Needs Linux 5.12.
 */
#ifndef SHIM_BIND_MOUNT_H
#define SHIM_BIND_MOUNT_H

#include <stdbool.h>

struct error;

/* As mount(2) has it, for what is served to a guest otherwise. */
#define SERVED_MOUNT_FLAGS (MS_NODEV | MS_NOSUID | MS_NOEXEC)

struct bind_mount_options {
	bool recursive;      /* with what is mounted below the source */
	bool read_only;      /* all of it */
	bool follow;         /* later mounts below the source appear here too */
	unsigned long flags; /* MS_NOATIME, …: as in mount(2) */
};

/* Symbolic links in @source are followed, as the host would. Returns the mount, attached nowhere.
 */
int bind_mount_open(const char *source, const struct bind_mount_options *options,
                    struct error *err);

/* Attaches it at @name in the directory @dirfd: made if missing, a directory or an empty file as
 * the source is one. A link there is not followed. */
int bind_mount_attach(int mount, int dirfd, const char *name, struct error *err);

#endif
