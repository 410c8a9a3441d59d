/*
 * The other end of the vsock device's vhost-user socket: a VMM that shares 4 MiB of memory, and in
 * it a guest's driver with two queues. Everything fails the test at once when it does not work
 * within GUEST_WAIT_MS.
 */
#ifndef TEST_UNIT_HYPERVISOR_VSOCK_FAKE_GUEST_H
#define TEST_UNIT_HYPERVISOR_VSOCK_FAKE_GUEST_H

#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stdint.h>

#define GUEST_CID         3
#define GUEST_MEMORY_SIZE (4 << 20)
#define GUEST_QUEUE       64   /* descriptors of each queue */
#define GUEST_BUFFER      4096 /* payload of a receive buffer */
#define GUEST_PACKET_MAX  (64 << 10)
#define GUEST_WAIT_MS     60000
#define GUEST_WINDOW      (256 << 10) /* what it says of its own buffers */

enum guest_queue {
	GUEST_RX,
	GUEST_TX,
	GUEST_QUEUES,
};

struct guest_ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	int kick;
	int call;
	int error;
	uint16_t seen; /* used chains taken */
};

struct guest {
	int vmm;
	int memory_fd;
	char *memory;
	struct guest_ring rings[GUEST_QUEUES];
};

struct guest_packet {
	struct virtio_vsock_hdr header;
	char data[GUEST_BUFFER];
};

/* Takes @vmm over: all that QEMU says until the driver is ready, but no receive buffers. */
void guest_start(struct guest *guest, int vmm);
void guest_stop(struct guest *guest);

/* A vhost-user message; the answer's number if @reply. */
uint64_t guest_tell(struct guest *guest, uint32_t request, const void *payload, uint32_t size,
                    const int *fds, unsigned int nfds, bool reply);
/* The same without any check: the bytes as they are. False when the device has closed. */
bool guest_tell_raw(struct guest *guest, const void *bytes, uint32_t size, const int *fds,
                    unsigned int nfds);
/* Shares the memory once more, as after memory was plugged. */
void guest_share_memory(struct guest *guest);
/* GET_VRING_BASE and a start of both queues, from @base or from where they stopped (< 0). */
void guest_restart(struct guest *guest, int base);

void guest_kick(struct guest *guest, enum guest_queue queue);
/* Gives @n receive buffers. */
void guest_give(struct guest *guest, unsigned int n);

/* Sends a packet from @guest_port to @host_port, and waits until the device has taken it. */
void guest_send(struct guest *guest, uint32_t guest_port, uint32_t host_port,
                enum virtio_vsock_op op, uint32_t flags, const void *data, uint32_t len);
/* The same with all of the header chosen by the caller. */
void guest_send_header(struct guest *guest, const struct virtio_vsock_hdr *header, const void *data,
                       uint32_t len);

/* The next packet that has come, whose buffer is given again; false when none is there now. */
bool guest_poll(struct guest *guest, struct guest_packet *out);
/* Waits for the next packet, which has to be of this kind. */
void guest_expect(struct guest *guest, enum virtio_vsock_op op, struct guest_packet *out);
/* The same, when credit updates may come before. */
void guest_expect_after_credit(struct guest *guest, enum virtio_vsock_op op,
                               struct guest_packet *out);
/* No packet comes for a while. */
void guest_expect_silence(struct guest *guest);

/* A header from the guest's port to the host's, with the guest's credit. */
struct virtio_vsock_hdr guest_header(uint32_t guest_port, uint32_t host_port,
                                     enum virtio_vsock_op op);

#endif
