#include "hypervisor/vsock/traffic.h"

#include <string.h>

#include "hypervisor/vhost/say.h"
#include "hypervisor/vhost/vhost_user.h"
#include "hypervisor/vsock/flow.h"
#include "hypervisor/vsock/flow_table.h"
#include "hypervisor/vsock/packet.h"

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

static void report_broken_queue(struct traffic *traffic, enum vsock_queue which)
{
	static const char *const names[] = { "receive", "transmit" };

	say("the guest's %s queue is broken", names[which]);
	vhost_user_signal_error(traffic->vhost, which);
}

/* One packet of the guest. Those of a wrong address or form are dropped, as the kernel's device
 * does. */
static void take_packet(struct traffic *traffic, const struct chain *chain, struct iovec *iov)
{
	struct virtio_vsock_hdr header;
	unsigned int niov;
	struct flow_link *link;

	if (packet_read(chain, iov, &niov, &header) < 0 || header.src_cid != traffic->guest_cid ||
	    header.dst_cid != PACKET_HOST_CID)
		return;
	link = flow_table_find(traffic->table, header.dst_port, header.src_port);
	if (link)
		flow_packet(flow_of_link(link), &header, iov, niov);
	else
		flow_request(traffic->table, &header);
}

static bool receive_from_guest(struct traffic *traffic)
{
	struct virtqueue *vq = &traffic->vhost->rings[VSOCK_QUEUE_TX].vq;
	struct iovec iov[IOV_MAX_CHAIN];
	struct chain chain;

	virtqueue_no_kick(vq);
	for (unsigned int i = 1; i <= TURN_PACKETS; i++) {
		int r;

		if (vq->broken || flow_table_farewells_full(traffic->table))
			return false;
		r = virtqueue_pop(vq, VIRTQUEUE_READABLE, iov, IOV_MAX_CHAIN, &chain);
		if (r < 0)
			report_broken_queue(traffic, VSOCK_QUEUE_TX);
		if (r <= 0)
			return virtqueue_want_kick(vq);
		take_packet(traffic, &chain, iov);
		virtqueue_push(vq, chain.head, 0);
		if (i % SHOW_EVERY == 0)
			vhost_user_publish(traffic->vhost, VSOCK_QUEUE_TX);
	}
	return true;
}

enum sent {
	SENT,       /* something went to the guest */
	NOTHING,    /* there was nothing to send */
	NO_BUFFERS, /* the guest has none */
};

static bool pop_buffer(struct traffic *traffic, struct iovec *iov, unsigned int max,
                       struct chain *chain)
{
	struct virtqueue *vq = &traffic->vhost->rings[VSOCK_QUEUE_RX].vq;
	int r = vq->broken ? 0 : virtqueue_pop(vq, VIRTQUEUE_WRITABLE, iov, max, chain);

	if (r > 0 && chain->bytes <= PACKET_HEADER_SIZE) {
		vq->broken = true;
		r = -1;
	}
	if (r < 0)
		report_broken_queue(traffic, VSOCK_QUEUE_RX);
	return r > 0;
}

static void push_packet(struct traffic *traffic, const struct iovec *iov, const struct chain *chain,
                        struct virtio_vsock_hdr *header)
{
	header->src_cid = PACKET_HOST_CID;
	header->dst_cid = traffic->guest_cid;
	packet_write(iov, chain->niov, header);
	virtqueue_push(&traffic->vhost->rings[VSOCK_QUEUE_RX].vq, chain->head,
	               PACKET_HEADER_SIZE + header->len);
}

static enum sent send_farewell(struct traffic *traffic)
{
	const struct farewell *farewell = flow_table_first_farewell(traffic->table);
	struct virtio_vsock_hdr header = {
		.src_port = farewell->host_port,
		.dst_port = farewell->guest_port,
		.type = farewell->type,
		.op = farewell->op,
		.flags = farewell->flags,
	};
	struct iovec iov[IOV_MAX_CHAIN];
	struct chain chain;

	if (!pop_buffer(traffic, iov, IOV_MAX_CHAIN, &chain))
		return NO_BUFFERS;
	push_packet(traffic, iov, &chain, &header);
	flow_table_drop_farewell(traffic->table);
	return SENT;
}

static enum sent send_due(struct traffic *traffic, struct flow *flow)
{
	struct virtio_vsock_hdr header;
	struct iovec iov[IOV_MAX_CHAIN];
	struct chain chain;

	if (!flow->connection.due)
		return NOTHING;
	if (!pop_buffer(traffic, iov, IOV_MAX_CHAIN, &chain))
		return NO_BUFFERS;
	connection_next(&flow->connection, &header);
	push_packet(traffic, iov, &chain, &header);
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

static void batch_pop(struct batch *batch, struct traffic *traffic, size_t room)
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
		    !pop_buffer(traffic, iov, BATCH_IOV - batch->niov, chain))
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
static void batch_push(struct batch *batch, struct traffic *traffic, struct flow *flow, size_t len)
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
		push_packet(traffic, iov, chain, &header);
		iov += chain->niov;
		len -= n;
	}
	virtqueue_unpop(&traffic->vhost->rings[VSOCK_QUEUE_RX].vq, batch->count - used);
}

static enum sent send_bytes(struct traffic *traffic, struct flow *flow)
{
	struct batch batch;
	size_t n;

	if (!flow_readable(flow))
		return NOTHING;
	batch_pop(&batch, traffic, connection_room(&flow->connection));
	if (!batch.count)
		return NO_BUFFERS;
	n = flow_read(flow, batch.payload, batch.npayload);
	batch_push(&batch, traffic, flow, n);
	return n ? SENT : NOTHING;
}

/* One turn of the flow that waits longest; it waits again, behind the others, if it has more. */
static enum sent send_flow(struct traffic *traffic, struct flow *flow)
{
	enum sent sent = send_due(traffic, flow);

	if (sent == NOTHING)
		sent = send_bytes(traffic, flow);
	if (sent == NO_BUFFERS)
		return sent;
	flow_table_unwake(traffic->table, &flow->link);
	if (flow->state != FLOW_ENDED && (flow->connection.due || flow_readable(flow)))
		flow_table_wake(traffic->table, &flow->link);
	return SENT;
}

static bool send_to_guest(struct traffic *traffic)
{
	struct virtqueue *vq = &traffic->vhost->rings[VSOCK_QUEUE_RX].vq;

	virtqueue_no_kick(vq);
	for (unsigned int i = 0; i < TURN_BATCHES; i++) {
		struct flow_link *link = TAILQ_FIRST(&traffic->table->waiting);
		enum sent sent;

		if (flow_table_first_farewell(traffic->table))
			sent = send_farewell(traffic);
		else if (link)
			sent = send_flow(traffic, flow_of_link(link));
		else
			return false;
		if (sent == NO_BUFFERS)
			return virtqueue_want_kick(vq);
	}
	return true;
}

bool traffic_run(struct traffic *traffic)
{
	bool more = receive_from_guest(traffic);
	bool held = flow_table_farewells_full(traffic->table);

	more |= send_to_guest(traffic);
	more |= held && !flow_table_farewells_full(traffic->table);
	vhost_user_publish(traffic->vhost, VSOCK_QUEUE_TX);
	vhost_user_publish(traffic->vhost, VSOCK_QUEUE_RX);
	return more;
}
