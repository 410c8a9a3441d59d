#include "hypervisor/vsock/flow.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/unix_socket.h"
#include "hypervisor/vsock/flow_internal.h"
#include "hypervisor/vsock/line.h"
#include "hypervisor/vsock/packet.h"

/* Of a FIFO: device and reader change places half as often as with the kernel's 64 KiB. */
#define PIPE_SIZE (256 << 10)

#define ENDPOINT_EVENTS (EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP)

struct flow *flow_new(struct flow_table *table, bool from_guest)
{
	struct flow *flow = mem_new(struct flow);

	*flow = (struct flow){
		.table = table,
		.link.connection = &flow->connection,
		.from_guest = from_guest,
		.control = -1,
		.control_source.fd = -1,
		.endpoint_source.fd = -1,
	};
	endpoint_init(&flow->endpoint, 0);
	*(from_guest ? &table->guest_flows : &table->host_flows) += 1;
	LIST_INSERT_HEAD(&table->flows, &flow->link, in_flows);
	return flow;
}

/* Begins the guest's side. */
void flow_enter(struct flow *flow, uint32_t host_port, uint32_t guest_port)
{
	bool wide = !flow->from_guest && flow->table->host_flows <= FLOWS_WIDE;
	uint32_t window = wide ? FLOW_WINDOW : FLOW_WINDOW_SMALL;

	connection_init(&flow->connection, host_port, guest_port, window);
	flow->endpoint.kept.max = window;
	flow_table_enter(flow->table, &flow->link);
}

void flow_wake(struct flow *flow)
{
	flow_table_wake(flow->table, &flow->link);
}

static bool flow_in_table(const struct flow *flow)
{
	return flow->state == FLOW_CONNECTING || flow->state == FLOW_OPEN;
}

void flow_set_state(struct flow *flow, enum flow_state state)
{
	assert(state > flow->state);
	if (flow_in_table(flow) && state > FLOW_OPEN)
		flow_table_leave(flow->table, &flow->link);
	flow->state = state;
}

static void flow_farewell(struct flow *flow, enum virtio_vsock_op op)
{
	const struct farewell farewell = {
		.host_port = flow->connection.host_port,
		.guest_port = flow->connection.guest_port,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? CONNECTION_SHUT_BOTH : 0,
		.op = op,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
	};

	if (flow_in_table(flow) && !(flow->connection.due & (1U << VIRTIO_VSOCK_OP_REQUEST)))
		flow_table_say_farewell(flow->table, &farewell);
}

int flow_send_line(struct flow *flow, const char *word, uint64_t number)
{
	char line[LINE_MAX_SIZE];

	snprintf(line, sizeof(line), "%s %" PRIu64 "\n", word, number);
	return line_send(flow->control, line, -1);
}

int flow_send_moved(struct flow *flow)
{
	char line[LINE_MAX_SIZE];

	snprintf(line, sizeof(line), LINE_MOVED " %" PRIu64 " %zu\n", flow->endpoint.moved,
	         flow->endpoint.kept.len);
	return line_send(flow->control, line, -1);
}

static void flow_send_failed(struct flow *flow, size_t dropped)
{
	char line[LINE_MAX_SIZE];

	snprintf(line, sizeof(line), LINE_FAILED " %" PRIu64 " %zu %s\n", flow->endpoint.moved,
	         dropped, flow->failure);
	line_send(flow->control, line, -1);
}

static bool flow_is_two_way(const struct flow *flow)
{
	return flow->kind == FLOW_SOCKET || flow->kind == FLOW_DUPLEX;
}

static void close_endpoint(struct flow *flow)
{
	source_remove(&flow->endpoint_source, flow->table->epoll);
	endpoint_fini(&flow->endpoint);
}

/* What has not ended in order is a reset for who is connected to the host's end (connect(2):
 * AF_UNSPEC dissolves the association). */
static void reset_endpoint(const struct flow *flow)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	(void)connect(flow->endpoint.fd, &none, sizeof(none));
}

/* The last act: closes all, then says how it went, so that who hears it finds all closed. */
void flow_end(struct flow *flow)
{
	struct flow_table *table = flow->table;
	size_t kept = flow->endpoint.kept.len;

	if (flow->state == FLOW_ENDED)
		return;
	if (flow->kind == FLOW_DUPLEX && flow->failure)
		reset_endpoint(flow);
	close_endpoint(flow);
	if (flow->control >= 0 && flow->kind != FLOW_SOCKET && flow->failure)
		flow_send_failed(flow, kept);
	else if (flow->control >= 0 && flow->kind != FLOW_SOCKET)
		flow_send_line(flow, LINE_DONE, flow->endpoint.moved);
	source_remove(&flow->control_source, table->epoll);
	if (flow->control >= 0)
		close(flow->control);
	flow->control = -1;
	flow_set_state(flow, FLOW_ENDED);
	*(flow->from_guest ? &table->guest_flows : &table->host_flows) -= 1;
	LIST_REMOVE(&flow->link, in_flows);
	TAILQ_INSERT_TAIL(&table->ended, &flow->link, in_list);
}

void flow_fail(struct flow *flow, const char *why)
{
	flow->failure = why;
	flow_farewell(flow, VIRTIO_VSOCK_OP_RST);
	flow_end(flow);
}

/* The guest's side has ended; @why is NULL when it did so properly. */
static void flow_drain(struct flow *flow, const char *why)
{
	flow->failure = why;
	flow_set_state(flow, FLOW_DRAINING);
	if (flow->kind == FLOW_READ || !flow->endpoint.kept.len)
		flow_end(flow);
}

void flow_abandon(struct flow *flow, const char *why)
{
	if (flow_in_table(flow))
		flow_drain(flow, why);
}

/* The host's side sends and takes no more: the guest may read to the end what it has been sent. */
static void flow_hang_up(struct flow *flow)
{
	flow_farewell(flow, VIRTIO_VSOCK_OP_SHUTDOWN);
	flow_end(flow);
}

/* Ends a flow both of whose directions have. */
static void flow_check_shut(struct flow *flow)
{
	if (!(flow->connection.guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) || flow->endpoint.kept.len)
		return;
	if (flow->connection.host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
		flow_hang_up(flow);
	else
		shutdown(flow->endpoint.fd, SHUT_WR);
}

/* @n bytes of the guest's are in the descriptor, or it is broken. */
void flow_written(struct flow *flow, ssize_t n)
{
	if (n < 0) {
		flow_fail(flow, strerrordesc_np((int)-n));
		return;
	}
	if (flow->state == FLOW_DRAINING) {
		if (!flow->endpoint.kept.len)
			flow_end(flow);
		return;
	}
	connection_forward(&flow->connection, n);
	if (flow->connection.due)
		flow_wake(flow);
	flow_check_shut(flow);
}

static void on_endpoint(struct source *source, uint32_t events)
{
	struct flow *flow = source_owner(source, struct flow, endpoint_source);

	endpoint_event(&flow->endpoint, events);
	if (flow->endpoint.kept.len && flow->endpoint.writable)
		flow_written(flow, endpoint_flush(&flow->endpoint));
	if (flow_readable(flow))
		flow_wake(flow);
	else if (flow->state == FLOW_OPEN && flow->endpoint.hung_up &&
	         (flow->connection.host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND))
		flow_hang_up(flow);
}

int flow_attach(struct flow *flow, int fd)
{
	uint32_t events = ENDPOINT_EVENTS;
	int r;

	if (flow->kind == FLOW_READ)
		events &= ~EPOLLOUT;
	else if (flow->kind == FLOW_WRITE)
		events &= ~(EPOLLIN | EPOLLRDHUP);
	if (file_set_nonblocking(fd) < 0)
		r = -errno;
	else
		r = source_add(&flow->endpoint_source, flow->table->epoll, fd, events, on_endpoint);
	if (r < 0) {
		close(fd);
		return r;
	}
	if (!flow_is_two_way(flow) && fcntl(fd, F_GETPIPE_SZ) < PIPE_SIZE)
		fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE); /* no pipe, or no room for more: then not */
	endpoint_open(&flow->endpoint, fd);
	return 0;
}

static void flow_open(struct flow *flow)
{
	int r;

	flow_set_state(flow, FLOW_OPEN);
	r = flow_send_line(flow, LINE_OK, flow->connection.host_port);
	if (flow->kind == FLOW_SOCKET && r == 0) {
		source_remove(&flow->control_source, flow->table->epoll);
		r = flow_attach(flow, take_fd(&flow->control));
	}
	if (r < 0)
		flow_fail(flow, "the process that asked for the stream has gone");
	else if (flow_readable(flow))
		flow_wake(flow);
}

/* A socket connected to who listens on @port of the host, or -errno. */
static int connect_host(uint32_t port)
{
	char path[sizeof(LINE_SOCKET) + 12];
	int fd;

	snprintf(path, sizeof(path), LINE_SOCKET "_%" PRIu32, port);
	fd = unix_socket_connect(path);
	return fd < 0 ? -ECONNREFUSED : fd;
}

static bool flow_begin_from_guest(struct flow_table *table, const struct virtio_vsock_hdr *header)
{
	struct flow *flow;
	int fd;

	if (table->guest_flows == FLOWS_GUEST_MAX)
		return false;
	fd = connect_host(header->dst_port);
	if (fd < 0)
		return false;
	flow = flow_new(table, true);
	flow_set_state(flow, FLOW_OPEN);
	flow_enter(flow, header->dst_port, header->src_port);
	connection_note(&flow->connection, header);
	connection_owe(&flow->connection, VIRTIO_VSOCK_OP_RESPONSE);
	flow_wake(flow);
	if (flow_attach(flow, fd) < 0)
		flow_fail(flow, "out of descriptors");
	return true;
}

void flow_request(struct flow_table *table, const struct virtio_vsock_hdr *header)
{
	const struct farewell refusal = {
		.host_port = header->dst_port,
		.guest_port = header->src_port,
		.op = VIRTIO_VSOCK_OP_RST,
		.type = header->type,
	};

	/* A guest that has not read all yet goes on telling its credit after the end. */
	if (header->op == VIRTIO_VSOCK_OP_RST || header->op == VIRTIO_VSOCK_OP_CREDIT_UPDATE)
		return;
	if (header->op != VIRTIO_VSOCK_OP_REQUEST || header->type != VIRTIO_VSOCK_TYPE_STREAM ||
	    !flow_begin_from_guest(table, header))
		flow_table_say_farewell(table, &refusal);
}

static void on_response(struct flow *flow, const struct virtio_vsock_hdr *header,
                        const struct iovec *iov, unsigned int niov)
{
	if (flow->state == FLOW_CONNECTING &&
	    !(flow->connection.due & (1U << VIRTIO_VSOCK_OP_REQUEST)))
		flow_open(flow);
	else
		flow_fail(flow, "the guest answered what was not asked");
}

static void on_reset(struct flow *flow, const struct virtio_vsock_hdr *header,
                     const struct iovec *iov, unsigned int niov)
{
	flow_drain(flow, flow->state == FLOW_CONNECTING ? "the guest refused the connection"
	                                                : "the guest reset the stream");
}

/* Who closes at once what is open both ways does not end it in order. */
static bool has_ended_both_ways(const struct flow *flow)
{
	return flow->guest_ended && flow->connection.host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND;
}

static void on_shutdown(struct flow *flow, const struct virtio_vsock_hdr *header,
                        const struct iovec *iov, unsigned int niov)
{
	/* A stream of one direction loses nothing by the end of the other. */
	static const uint32_t idle[] = {
		[FLOW_READ] = VIRTIO_VSOCK_SHUTDOWN_SEND,
		[FLOW_WRITE] = VIRTIO_VSOCK_SHUTDOWN_RCV,
	};
	uint32_t shut = flow->connection.guest_shut;

	if (flow_is_two_way(flow) && shut != CONNECTION_SHUT_BOTH) {
		if (shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
			shutdown(flow->endpoint.fd, SHUT_RD);
		flow->guest_ended |= shut & VIRTIO_VSOCK_SHUTDOWN_SEND;
		flow_check_shut(flow);
		return;
	}
	if (flow->kind == FLOW_DUPLEX) {
		flow_farewell(flow, VIRTIO_VSOCK_OP_RST);
		flow_drain(flow, has_ended_both_ways(flow) ? NULL : "the guest closed the stream");
		return;
	}
	if (shut == idle[flow->kind])
		return;
	flow_farewell(flow, VIRTIO_VSOCK_OP_RST);
	flow_drain(flow, flow->kind == FLOW_READ ? "the guest closed the stream" : NULL);
}

static void on_data(struct flow *flow, const struct virtio_vsock_hdr *header,
                    const struct iovec *iov, unsigned int niov)
{
	if (flow->kind == FLOW_READ || (flow->connection.guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND))
		flow_fail(flow, "the guest sent on a direction that is shut");
	else if (connection_receive(&flow->connection, header->len) < 0)
		flow_fail(flow, "the guest sent more than it had credit for");
	else
		flow_written(flow, endpoint_write(&flow->endpoint, iov, niov));
}

static void on_credit(struct flow *flow, const struct virtio_vsock_hdr *header,
                      const struct iovec *iov, unsigned int niov)
{
	/* connection_note() has done it. */
}

typedef void packet_fn(struct flow *flow, const struct virtio_vsock_hdr *header,
                       const struct iovec *iov, unsigned int niov);

static const struct {
	packet_fn *handle;
	bool connecting; /* legal in FLOW_CONNECTING too */
} packets[] = {
	[VIRTIO_VSOCK_OP_RESPONSE] = { on_response, true },
	[VIRTIO_VSOCK_OP_RST] = { on_reset, true },
	[VIRTIO_VSOCK_OP_SHUTDOWN] = { on_shutdown, false },
	[VIRTIO_VSOCK_OP_RW] = { on_data, false },
	[VIRTIO_VSOCK_OP_CREDIT_UPDATE] = { on_credit, false },
	[VIRTIO_VSOCK_OP_CREDIT_REQUEST] = { on_credit, false },
};

void flow_packet(struct flow *flow, const struct virtio_vsock_hdr *header, const struct iovec *iov,
                 unsigned int niov)
{
	bool known = header->op < sizeof(packets) / sizeof(packets[0]) &&
	             packets[header->op].handle && header->type == VIRTIO_VSOCK_TYPE_STREAM;

	if (!known || (flow->state == FLOW_CONNECTING && !packets[header->op].connecting)) {
		flow_fail(flow, "the guest broke the rules of vsock");
		return;
	}
	connection_note(&flow->connection, header);
	packets[header->op].handle(flow, header, iov, niov);
	if (flow->state == FLOW_OPEN && (flow->connection.due || flow_readable(flow)))
		flow_wake(flow);
}

static size_t greeting_left(const struct flow *flow)
{
	return strlen(flow->greeting) - flow->greeting_at;
}

bool flow_readable(const struct flow *flow)
{
	const struct connection *connection = &flow->connection;

	return flow->state == FLOW_OPEN && flow->kind != FLOW_WRITE &&
	       (flow->endpoint.readable || greeting_left(flow)) &&
	       !(connection->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) &&
	       !(connection->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) && connection_room(connection);
}

/* The host's end has come to its end of file. */
static void flow_eof(struct flow *flow)
{
	if (flow->kind == FLOW_READ || flow->endpoint.hung_up) {
		flow_hang_up(flow);
		return;
	}
	connection_shut(&flow->connection, VIRTIO_VSOCK_SHUTDOWN_SEND);
	flow_check_shut(flow);
}

static ssize_t read_greeting(struct flow *flow, const struct iovec *iov)
{
	size_t left = greeting_left(flow);
	size_t n = left < iov->iov_len ? left : iov->iov_len;

	memcpy(iov->iov_base, flow->greeting + flow->greeting_at, n);
	flow->greeting_at += n;
	return (ssize_t)n;
}

uint32_t flow_read(struct flow *flow, const struct iovec *iov, unsigned int niov)
{
	ssize_t n;

	if (greeting_left(flow))
		n = read_greeting(flow, iov);
	else
		n = endpoint_read(&flow->endpoint, iov, niov);
	if (n > 0) {
		connection_send(&flow->connection, n);
		return n;
	}
	if (n == 0)
		flow_eof(flow);
	else if (n != -EAGAIN)
		flow_fail(flow, strerrordesc_np((int)-n));
	return 0;
}
