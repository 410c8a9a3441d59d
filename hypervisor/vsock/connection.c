#include "hypervisor/vsock/connection.h"

#include <assert.h>
#include <errno.h>

void connection_init(struct connection *connection, uint32_t host_port, uint32_t guest_port,
                     uint32_t window)
{
	*connection = (struct connection){
		.host_port = host_port,
		.guest_port = guest_port,
		.window = window,
	};
}

void connection_note(struct connection *connection, const struct virtio_vsock_hdr *header)
{
	connection->guest_window = header->buf_alloc;
	connection->guest_forwarded = header->fwd_cnt;
	if (header->op == VIRTIO_VSOCK_OP_SHUTDOWN)
		connection->guest_shut |= header->flags & CONNECTION_SHUT_BOTH;
	if (header->op == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
		connection_owe(connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
}

uint32_t connection_held(const struct connection *connection)
{
	return connection->received - connection->forwarded;
}

int connection_receive(struct connection *connection, uint32_t len)
{
	if (len > connection->window - connection_held(connection))
		return -ENOBUFS;
	connection->received += len;
	return 0;
}

/* Linux has no more on its way than its own window, however large the host's is. */
static uint32_t smaller_window(const struct connection *connection)
{
	return connection->guest_window < connection->window ? connection->guest_window
	                                                     : connection->window;
}

void connection_forward(struct connection *connection, uint32_t len)
{
	uint32_t untold; /* received, and on its way still as far as the guest knows */

	assert(len <= connection_held(connection));
	connection->forwarded += len;
	untold = connection->received - connection->told;
	if (connection->forwarded != connection->told && untold > smaller_window(connection) / 2)
		connection_owe(connection, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
}

uint32_t connection_room(const struct connection *connection)
{
	uint32_t on_way = connection->sent - connection->guest_forwarded;

	return on_way < connection->guest_window ? connection->guest_window - on_way : 0;
}

void connection_send(struct connection *connection, uint32_t len)
{
	connection->sent += len;
}

void connection_owe(struct connection *connection, enum virtio_vsock_op op)
{
	connection->due |= 1U << op;
}

void connection_shut(struct connection *connection, uint32_t flags)
{
	if ((connection->host_shut & flags) == flags)
		return;
	connection->host_shut |= flags;
	connection_owe(connection, VIRTIO_VSOCK_OP_SHUTDOWN);
}

void connection_header(struct connection *connection, enum virtio_vsock_op op, uint32_t len,
                       struct virtio_vsock_hdr *header)
{
	*header = (struct virtio_vsock_hdr){
		.src_port = connection->host_port,
		.dst_port = connection->guest_port,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? connection->host_shut : 0,
		.buf_alloc = connection->window,
		.fwd_cnt = connection->forwarded,
	};
	connection->told = connection->forwarded;
	connection->due &= ~(1U << VIRTIO_VSOCK_OP_CREDIT_UPDATE); /* every packet says it */
}

/* In this order: a connection begins before it ends, and it needs no credit afterwards. */
static const enum virtio_vsock_op order[] = {
	VIRTIO_VSOCK_OP_REQUEST,
	VIRTIO_VSOCK_OP_RESPONSE,
	VIRTIO_VSOCK_OP_SHUTDOWN,
	VIRTIO_VSOCK_OP_CREDIT_UPDATE,
};

bool connection_next(struct connection *connection, struct virtio_vsock_hdr *header)
{
	for (unsigned int i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (!(connection->due & (1U << order[i])))
			continue;
		connection->due &= ~(1U << order[i]);
		connection_header(connection, order[i], 0, header);
		return true;
	}
	return false;
}
