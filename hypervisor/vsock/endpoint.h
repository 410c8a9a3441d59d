/*
 * The host's end of a stream: a socket, FIFO or pipe that is written to and read from without
 * waiting, straight from and to guest memory. What it does not take is kept here, as much as the
 * guest was given credit for; an endpoint at rest holds no memory.
 *
 * It is watched edge-triggered: readable and writable stay true until the descriptor says EAGAIN.
 */
#ifndef HYPERVISOR_VSOCK_ENDPOINT_H
#define HYPERVISOR_VSOCK_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/buf.h"

struct endpoint {
	int fd; /* -1: none yet; everything waits for it */
	bool readable;
	bool writable;
	bool hung_up; /* the peer has gone */
	struct buf kept;
	uint64_t moved; /* bytes through the descriptor */
};

/* @keep: bytes that are kept at most. */
void endpoint_init(struct endpoint *endpoint, size_t keep);
void endpoint_open(struct endpoint *endpoint, int fd); /* takes @fd over */
void endpoint_fini(struct endpoint *endpoint);

void endpoint_event(struct endpoint *endpoint, uint32_t events); /* as of epoll_wait(2) */

/*
 * Takes all of @iov, at most what there is room to keep; returns the bytes of these and of earlier
 * ones that are in the descriptor now, or a negative errno when it is broken.
 */
ssize_t endpoint_write(struct endpoint *endpoint, const struct iovec *iov, unsigned int niov);
ssize_t endpoint_flush(struct endpoint *endpoint); /* writes what is kept; same result */

/* Returns the bytes read, 0 at the end of file, -EAGAIN or a negative errno. */
ssize_t endpoint_read(struct endpoint *endpoint, const struct iovec *iov, unsigned int niov);

#endif
