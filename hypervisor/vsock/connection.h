/*
 * The guest's side of one stream: its ports, the credit of both directions, which directions are
 * shut, and which packets are due to the guest. It knows no file descriptor and no virtqueue.
 *
 * Credit (virtio 1.2, section 5.10.6.3): each side says with every packet how much room it has in
 * all (buf_alloc) and how many bytes it has handed on since the beginning (fwd_cnt); the other may
 * have that many bytes more on their way. The counters wrap at 2^32.
 */
#ifndef HYPERVISOR_VSOCK_CONNECTION_H
#define HYPERVISOR_VSOCK_CONNECTION_H

#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stdint.h>

#define CONNECTION_SHUT_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

struct connection {
	uint32_t host_port;
	uint32_t guest_port;
	uint32_t due; /* the packets to be sent, one bit for each operation: 1 << VIRTIO_VSOCK_OP_…
	               */

	uint32_t window;    /* what the guest may have on its way: our buf_alloc */
	uint32_t received;  /* from the guest since the beginning */
	uint32_t forwarded; /* of these, given to the host's end: our fwd_cnt */
	uint32_t told;      /* the fwd_cnt that the guest knows */

	uint32_t guest_window;
	uint32_t guest_forwarded;
	uint32_t sent;

	uint32_t guest_shut; /* what the guest has shut: VIRTIO_VSOCK_SHUTDOWN_… */
	uint32_t host_shut;  /* what the host has */
};

void connection_init(struct connection *connection, uint32_t host_port, uint32_t guest_port,
                     uint32_t window);

/* What any packet of the guest says about its room and the directions it shuts. */
void connection_note(struct connection *connection, const struct virtio_vsock_hdr *header);

/* The guest has sent @len bytes; -ENOBUFS when it had no credit for them. */
int connection_receive(struct connection *connection, uint32_t len);
/* Of these, @len have been given to the host's end: there is room for others. */
void connection_forward(struct connection *connection, uint32_t len);
uint32_t connection_held(const struct connection *connection); /* received, not given on */

uint32_t connection_room(const struct connection *connection); /* bytes that the guest takes now */
void connection_send(struct connection *connection, uint32_t len);

void connection_owe(struct connection *connection, enum virtio_vsock_op op);
void connection_shut(struct connection *connection, uint32_t flags); /* tells the guest, once */

/* The next packet that is due: true and its header filled but for the CIDs. */
bool connection_next(struct connection *connection, struct virtio_vsock_hdr *header);
void connection_header(struct connection *connection, enum virtio_vsock_op op, uint32_t len,
                       struct virtio_vsock_hdr *header);

#endif
