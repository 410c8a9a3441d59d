/*
 * One stream through the device: the guest's side (connection.h), the host's end (endpoint.h), and
 * the socket of the process that asked for it.
 *
 *	state            legal in it
 *	FLOW_GREETING    a process has connected to the device; its CONNECT is awaited. Not in the
 *	                 table.
 *	FLOW_CONNECTING  OP_REQUEST is due or sent: the guest's OP_RESPONSE opens the flow, OP_RST
 *	                 ends it.
 *	FLOW_OPEN        bytes move. Either side may shut its direction and go on with the other.
 *	FLOW_DRAINING    the guest's side has ended and is forgotten (its ports may be used again);
 *	                 bytes that the guest had sent still go to the host's end. Not in the table.
 *	FLOW_ENDED       all is closed; the memory is freed when the events at hand are dealt with.
 */
#ifndef HYPERVISOR_VSOCK_FLOW_H
#define HYPERVISOR_VSOCK_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "hypervisor/vhost/source.h"
#include "hypervisor/vsock/connection.h"
#include "hypervisor/vsock/endpoint.h"
#include "hypervisor/vsock/flow_table.h"
#include "hypervisor/vsock/line.h"

/* Bytes that the guest may have on their way to one flow: of a flow that the host asked for, while
 * there are few; of others. They are kept while a reader is slow: so these bound what a guest
 * costs. */
#define FLOW_WINDOW       (1 << 20)
#define FLOW_WINDOW_SMALL (64 << 10)
#define FLOWS_WIDE        64
/* At once, of those that the host asks for, and of those that the guest does. A few more may say
 * what they want, and are told that they are too many. */
#define FLOWS_HOST_MAX     LINE_STREAMS_MAX
#define FLOWS_GREETING_MAX 16
#define FLOWS_GUEST_MAX    256

enum flow_state {
	FLOW_GREETING,
	FLOW_CONNECTING,
	FLOW_OPEN,
	FLOW_DRAINING,
	FLOW_ENDED,
};

enum flow_kind {
	FLOW_SOCKET, /* the socket of the process is the host's end */
	FLOW_READ,   /* a descriptor is, read from */
	FLOW_WRITE,  /* a descriptor is, written to */
	FLOW_DUPLEX, /* a descriptor is, a connected socket */
};

struct flow {
	struct flow_link link;
	struct flow_table *table;
	enum flow_state state;
	enum flow_kind kind;
	bool from_guest;
	struct connection connection;
	struct endpoint endpoint;
	struct source endpoint_source;
	char greeting[LINE_GREETING_MAX + 2]; /* FLOW_DUPLEX: goes to the guest before all else */
	size_t greeting_at;                   /* of it, sent */
	bool guest_ended; /* the guest has shut its direction, and only that, in order */
	int control;      /* the process that asked, -1 for FLOW_SOCKET once it is the host's end */
	struct source control_source;
	const char *failure; /* why it is not whole; NULL: it is */
};

#define flow_of_link(flow_link) source_owner(flow_link, struct flow, link)

void flow_accept(struct flow_table *table, int fd); /* a process has connected; takes @fd over */

/* The guest's packet for no flow there is: OP_REQUEST makes one, others are answered OP_RST. */
void flow_request(struct flow_table *table, const struct virtio_vsock_hdr *header);
/* The guest's packet for @flow, with its payload. */
void flow_packet(struct flow *flow, const struct virtio_vsock_hdr *header, const struct iovec *iov,
                 unsigned int niov);

bool flow_readable(
	const struct flow *flow); /* there may be bytes for the guest, which takes them */
/* Reads from the host's end; the bytes read, which are sent now, or 0. May end the flow. */
uint32_t flow_read(struct flow *flow, const struct iovec *iov, unsigned int niov);

/* The guest is no more, or has forgotten its side: bytes at hand still go to the host's end.
 * Nothing for a flow that has no guest's side. */
void flow_abandon(struct flow *flow, const char *why);
void flow_end(struct flow *flow); /* at once, without a word to the guest */

#endif
