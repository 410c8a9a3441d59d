/*
 * The device gives up all power it does not need, before it reads its first byte. It was started as
 * root, since only root can chroot; its sockets are inherited.
 */
#ifndef HYPERVISOR_VSOCK_ISOLATE_H
#define HYPERVISOR_VSOCK_ISOLATE_H

#include <sys/types.h>

struct error;

struct isolate {
	const char *dir; /* becomes the root directory */
	uid_t uid;       /* 0: stays as it is */
	gid_t gid;
	pid_t parent; /* dies with it */
};

int isolate(const struct isolate *isolate, struct error *err);

#endif
