/*
 * A thread that closes descriptors: the last one of a file without a name frees its blocks, which
 * can wait for the disk, while the guest's next request need not.
 */
#ifndef HYPERVISOR_FS_CLOSER_H
#define HYPERVISOR_FS_CLOSER_H

#include <pthread.h>
#include <stdbool.h>

struct error;

#define CLOSER_MAX 256 /* descriptors that wait for it */

struct closer {
	pthread_mutex_t lock;
	pthread_cond_t started;
	pthread_cond_t more;
	int fds[CLOSER_MAX];
	unsigned int count;
	bool runs;
};

/* It lives as long as the process. Returns when it runs: its start takes system calls that its work
 * does not. */
int closer_start(struct closer *closer, struct error *err);
/* Takes @fd over; closes it at once without a closer (NULL), or when too many wait. */
void closer_add(struct closer *closer, int fd);

#endif
