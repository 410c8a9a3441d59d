#include "hypervisor/vsock/traffic.h"

#include <string.h>

#include "hypervisor/vsock/device.h"
#include "hypervisor/vsock/packet.h"
#include "hypervisor/vsock/say.h"

/*
 * Bytes are copied once, by the kernel: a chain of the guest's transmit queue is written to the
 * host's end where it lies, and the host's end is read into the chains of the receive queue,
 * several at once. The guest is interrupted once for a batch, not for each packet.
 *
 * A flow that has something for the guest waits in a queue; each in turn sends what is due and one
 * batch of bytes. While the guest has given no buffers all wait. Answers to packets for which there
 * is no flow wait in a queue of limited length; while it is full no packets are taken from the
 * guest.
 */

#define IOV_MAX_CHAIN 64 /* pieces of one chain */
#define BATCH_CHAINS  32 /* chains filled by one read */
#define BATCH_IOV     128
#define TURN_PACKETS  64 /* taken from the guest before the host's side has its turn */
#define TURN_BATCHES  64 /* of packets or bytes sent to it */
#define SHOW_EVERY    16 /* packets taken before the guest gets its buffers back */

static void complain(struct device *device, enum vhost_user_queue which)
{
	static const char *const names[] = { "receive", "transmit" };

	say("the guest's %s queue is broken", names[which]);
	vhost_user_complain(&device->vhost, which);
}

/* One packet of the guest. Those of a wrong address or form are dropped, as the kernel's device
 * does. */
static void take_packet(struct device *device, const struct chain *chain, struct iovec *iov)
{
	struct virtio_vsock_hdr header;
	unsigned int niov;
	struct flow *flow;

	if (packet_read(chain, iov, &niov, &header) < 0 || header.src_cid != device->guest_cid ||
	    header.dst_cid != PACKET_HOST_CID)
		return;
	flow = device_find(device, header.dst_port, header.src_port);
	if (flow)
		flow_packet(flow, &header, iov, niov);
	else
		flow_request(device, &header);
}

static bool receive_from_guest(struct device *device)
{
	struct virtqueue *vq = &device->vhost.rings[VHOST_USER_TX].vq;
	struct iovec iov[IOV_MAX_CHAIN];
	struct chain chain;

	virtqueue_no_kick(vq);
	for (unsigned int i = 1; i <= TURN_PACKETS; i++) {
		int r;

		if (vq->broken || device->farewell_count == DEVICE_FAREWELLS_MAX)
			return false;
		r = virtqueue_pop(vq, VIRTQUEUE_READABLE, iov, IOV_MAX_CHAIN, &chain);
		if (r < 0)
			complain(device, VHOST_USER_TX);
		if (r <= 0)
			return virtqueue_want_kick(vq);
		take_packet(device, &chain, iov);
		virtqueue_push(vq, chain.head, 0);
		if (i % SHOW_EVERY == 0)
			vhost_user_publish(&device->vhost, VHOST_USER_TX);
	}
	return true;
}

enum sent {
	SENT,       /* something went to the guest */
	NOTHING,    /* there was nothing to send */
	NO_BUFFERS, /* the guest has none */
};

static bool pop_buffer(struct device *device, struct iovec *iov, unsigned int max,
                       struct chain *chain)
{
	struct virtqueue *vq = &device->vhost.rings[VHOST_USER_RX].vq;
	int r = vq->broken ? 0 : virtqueue_pop(vq, VIRTQUEUE_WRITABLE, iov, max, chain);

	if (r > 0 && chain->bytes <= PACKET_HEADER_SIZE) {
		vq->broken = true;
		r = -1;
	}
	if (r < 0)
		complain(device, VHOST_USER_RX);
	return r > 0;
}

static void push_packet(struct device *device, const struct iovec *iov, const struct chain *chain,
                        struct virtio_vsock_hdr *header)
{
	header->src_cid = PACKET_HOST_CID;
	header->dst_cid = device->guest_cid;
	packet_write(iov, chain->niov, header);
	virtqueue_push(&device->vhost.rings[VHOST_USER_RX].vq, chain->head,
	               PACKET_HEADER_SIZE + header->len);
}

static enum sent send_farewell(struct device *device)
{
	const struct farewell *farewell = &device->farewells[device->first_farewell];
	struct virtio_vsock_hdr header = {
		.src_port = farewell->host_port,
		.dst_port = farewell->guest_port,
		.type = farewell->type,
		.op = farewell->op,
		.flags = farewell->flags,
	};
	struct iovec iov[IOV_MAX_CHAIN];
	struct chain chain;

	if (!pop_buffer(device, iov, IOV_MAX_CHAIN, &chain))
		return NO_BUFFERS;
	push_packet(device, iov, &chain, &header);
	device->first_farewell = (device->first_farewell + 1) % DEVICE_FAREWELLS_MAX;
	device->farewell_count--;
	return SENT;
}

static enum sent send_due(struct device *device, struct flow *flow)
{
	struct virtio_vsock_hdr header;
	struct iovec iov[IOV_MAX_CHAIN];
	struct chain chain;

	if (!flow->connection.due)
		return NOTHING;
	if (!pop_buffer(device, iov, IOV_MAX_CHAIN, &chain))
		return NO_BUFFERS;
	connection_next(&flow->connection, &header);
	push_packet(device, iov, &chain, &header);
	return SENT;
}

/* Chains that are filled by one read: @iov is all of them, @payload what follows their headers. */
struct batch {
	struct chain chains[BATCH_CHAINS];
	unsigned int count;
	struct iovec iov[BATCH_IOV];
	unsigned int niov;
	struct iovec payload[BATCH_IOV];
	unsigned int npayload;
};

static void batch_pop(struct batch *batch, struct device *device, size_t room)
{
	batch->count = 0;
	batch->niov = 0;
	batch->npayload = 0;
	while (room && batch->count < BATCH_CHAINS) {
		struct chain *chain = &batch->chains[batch->count];
		struct iovec *iov = &batch->iov[batch->niov];
		struct iovec *payload = &batch->payload[batch->npayload];
		size_t len;

		if (BATCH_IOV - batch->niov < IOV_MAX_CHAIN ||
		    !pop_buffer(device, iov, BATCH_IOV - batch->niov, chain))
			break;
		len = chain->bytes - PACKET_HEADER_SIZE;
		if (len > room)
			len = room;
		memcpy(payload, iov, chain->niov * sizeof(*iov));
		batch->npayload += packet_trim(payload, chain->niov, PACKET_HEADER_SIZE, len);
		batch->niov += chain->niov;
		batch->count++;
		room -= len;
	}
}

/* The first @len bytes of the payload have been read; what was not used goes back. */
static void batch_push(struct batch *batch, struct device *device, struct flow *flow, size_t len)
{
	const struct iovec *iov = batch->iov;
	unsigned int used = 0;

	for (; len && used < batch->count; used++) {
		const struct chain *chain = &batch->chains[used];
		size_t n = chain->bytes - PACKET_HEADER_SIZE;
		struct virtio_vsock_hdr header;

		if (n > len)
			n = len;
		connection_header(&flow->connection, VIRTIO_VSOCK_OP_RW, n, &header);
		push_packet(device, iov, chain, &header);
		iov += chain->niov;
		len -= n;
	}
	virtqueue_unpop(&device->vhost.rings[VHOST_USER_RX].vq, batch->count - used);
}

static enum sent send_bytes(struct device *device, struct flow *flow)
{
	struct batch batch;
	size_t n;

	if (!flow_readable(flow))
		return NOTHING;
	batch_pop(&batch, device, connection_room(&flow->connection));
	if (!batch.count)
		return NO_BUFFERS;
	n = flow_read(flow, batch.payload, batch.npayload);
	batch_push(&batch, device, flow, n);
	return n ? SENT : NOTHING;
}

/* One turn of the flow that waits longest; it waits again, behind the others, if it has more. */
static enum sent send_flow(struct device *device, struct flow *flow)
{
	enum sent sent = send_due(device, flow);

	if (sent == NOTHING)
		sent = send_bytes(device, flow);
	if (sent == NO_BUFFERS)
		return sent;
	device_unwake(flow);
	if (flow->state != FLOW_ENDED && (flow->connection.due || flow_readable(flow)))
		device_wake(flow);
	return SENT;
}

static bool send_to_guest(struct device *device)
{
	struct virtqueue *vq = &device->vhost.rings[VHOST_USER_RX].vq;

	virtqueue_no_kick(vq);
	for (unsigned int i = 0; i < TURN_BATCHES; i++) {
		struct flow *flow = TAILQ_FIRST(&device->waiting);
		enum sent sent;

		if (device->farewell_count)
			sent = send_farewell(device);
		else if (flow)
			sent = send_flow(device, flow);
		else
			return false;
		if (sent == NO_BUFFERS)
			return virtqueue_want_kick(vq);
	}
	return true;
}

bool traffic_run(struct device *device)
{
	bool more = receive_from_guest(device);
	bool held = device->farewell_count == DEVICE_FAREWELLS_MAX;

	more |= send_to_guest(device);
	more |= held && device->farewell_count < DEVICE_FAREWELLS_MAX;
	vhost_user_publish(&device->vhost, VHOST_USER_TX);
	vhost_user_publish(&device->vhost, VHOST_USER_RX);
	return more;
}
