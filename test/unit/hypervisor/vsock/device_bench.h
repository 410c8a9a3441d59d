/*
 * The real device between hypervisor/vsock.h and a fake guest, and what its tests share.
 */
#ifndef TEST_UNIT_HYPERVISOR_VSOCK_DEVICE_BENCH_H
#define TEST_UNIT_HYPERVISOR_VSOCK_DEVICE_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "fake_guest.h"
#include "fake_host.h"
#include "hypervisor/vsock.h"

#define PORT       1024
#define WINDOW     (1UL << 20) /* the credit that the device gives to one stream */
#define BOTH       (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define TIMEOUT_MS 60000

extern struct fake_host host;
extern struct guest guest;
extern struct guest_packet packet; /* the last that the guest expected */

/* What the callbacks were told. */
extern struct heard {
	int connected; /* calls */
	int fd;
	int opened;
	uint32_t host_port;
	int done;
	int moved;
	struct error err;
} heard;

void set_up(void);
void tear_down(void);

void on_connected(void *ctx, int fd, const struct error *err);
void on_accepted(void *ctx, int fd);
void on_open(void *ctx, uint32_t host_port, const struct error *err);
void on_done(void *ctx, const struct error *err);
void on_moved(void *ctx, const struct error *err);

/* To whom @packet is of. */
void reply(enum virtio_vsock_op op, uint32_t flags, const void *data, uint32_t len);

/* The host connects, the guest takes it: returns the host's socket. */
int establish(void);

/* A stream whose host end is @fd, taken by the guest. */
struct vsock_stream *open_stream(enum vsock_direction direction, int fd);

/* Sends @total bytes, as far as the credit goes; returns those that went. */
size_t flood(size_t total);

int make_fifo(void);
void read_exactly(int fd, char *to, size_t len);
void expect_end(int fd);

#endif
