/*
 * The server gives up all power it does not need, before it reads its first byte. It was started as
 * root. What stays is what it takes to act as any user inside of its directory, which is all it
 * sees: its root, in a mount namespace of its own.
 */
#ifndef HYPERVISOR_FS_ISOLATE_H
#define HYPERVISOR_FS_ISOLATE_H

#include <sys/types.h>

struct error;

struct isolate {
	const char *dir; /* becomes the root directory; mounts that come below it are seen */
	pid_t parent;    /* dies with it */
};

/* *@root: an O_PATH descriptor of the directory. /proc/self/fd, of which nothing else can be
 * reached, is the working directory then. */
int isolate(const struct isolate *isolate, int *root, struct error *err);
/* The last stage, for all threads: from now on only the system calls that serve files. */
int isolate_calls(struct error *err);

#endif
