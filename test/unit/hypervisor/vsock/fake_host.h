/*
 * The shim's part for tests: a directory, an event loop and the real device, started by
 * hypervisor/vsock.h.
 */
#ifndef TEST_UNIT_HYPERVISOR_VSOCK_FAKE_HOST_H
#define TEST_UNIT_HYPERVISOR_VSOCK_FAKE_HOST_H

#include <stdint.h>

#include "common/error.h"

struct ev_loop;
struct vsock;

#define FAKE_HOST_WAIT_MS 60000

struct fake_host {
	struct ev_loop *loop;
	char dir[32];
	struct vsock *vsock;
	int vmm;            /* the VMM's end, the caller's */
	int lost_calls;     /* of on_lost */
	struct error lost;  /* what it said */
	char listening[64]; /* the path of fake_host_listen() */
};

/* A vsock_connect() and what came of it. */
struct fake_connect {
	int calls;
	int fd;
	struct error err;
};

/* An ordinary user's test runs in a user namespace, as root. Done before main(). */
void fake_host_become_root(void);

void fake_host_start(struct fake_host *host);
/* With another program for the device. */
void fake_host_start_with(struct fake_host *host, const char *device);
void fake_host_stop(struct fake_host *host); /* and nothing of it may be left */

/* Runs the loop until @count is not 0; fails the test when that takes FAKE_HOST_WAIT_MS. */
void fake_host_wait(struct fake_host *host, const int *count);

void fake_host_connect(struct fake_host *host, struct fake_connect *connect, uint32_t port);

/* Listening by hand on @port, without the loop; the next connection, non-blocking, or -1. */
int fake_host_listen(struct fake_host *host, uint32_t port);
int fake_host_accept(int listener);
/* A connected socket of the device's. */
int fake_host_dial(struct fake_host *host);

#endif
