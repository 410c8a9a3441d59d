/*
 * Bind mounts of the host's files and directories, for a child process (they may block): a mount of
 * its own is made of the source first, private and with its attributes, and then attached. Later
 * mounts and unmounts below the source do not propagate to it, unless bind_mount_options.follow is
 * set. The mount is nodev, nosuid and noexec: no process of the host can use it to open a device or
 * to run a file that a guest has made. Needs Linux 5.12.
 */
#ifndef SHIM_BIND_MOUNT_H
#define SHIM_BIND_MOUNT_H

#include <stdbool.h>

struct error;

/* Flags of mount(2) for other mounts that are served to a guest. */
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

/* The same in two: what @source is (as O_PATH), and the mount of that. @source is for error texts
 * then. */
int bind_mount_source(const char *source, struct error *err);
int bind_mount_clone(int fd, const char *source, const struct bind_mount_options *options,
                     struct error *err);

/* Attaches it at @name in the directory @dirfd: made if missing, a directory or an empty file as
 * the source is one. A link there is not followed. */
int bind_mount_attach(int mount, int dirfd, const char *name, struct error *err);

#endif
