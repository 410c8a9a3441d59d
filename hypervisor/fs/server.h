/*
 * The file system device: a file server whose two virtqueues come from the VMM by vhost-user.
 */
#ifndef HYPERVISOR_FS_SERVER_H
#define HYPERVISOR_FS_SERVER_H

#include <stdbool.h>

#include "hypervisor/fs/fs.h"
#include "hypervisor/vhost/vhost_user.h"

struct error;

struct server {
	int epoll;
	struct vhost_user vhost;
	struct fs fs;
	bool gone;     /* the VMM */
	bool reported; /* that a queue is broken */
};

/* Takes both over: the VMM's socket, and the directory (fs.h). */
int server_init(struct server *server, int vmm, int root, enum fs_cache cache,
                struct closer *closer, struct error *err);
void server_fini(struct server *server);
int server_run(struct server *server, struct error *err); /* 0: the VMM has gone */

#endif
