#include "agent/guest/relay.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/guest/duplex.h"
#include "common/error.h"
#include "common/log.h"
#include "common/loop/listener.h"
#include "common/mem.h"
#include "proto/vsock_ports.h"

/* A server with a full backlog takes a connection when the kernel has tried a few times. */
#define CONNECT_TIMEOUT_S 60

/*
 * A connection reads its line, connects, and copies. One that fails before it copies is closed,
 * which the host's device takes for a reset.
 */
struct connection {
	LIST_ENTRY(connection) link;
	struct relay *relay;
	int host; /* the stream; -1 once it is the duplex's */
	char line[RELAY_LINE_MAX];
	size_t len;
	uint16_t port;
	unsigned int family; /* of addresses: the next that is tried */
	int local;           /* the socket that is being connected; -1: none */
	ev_io io;            /* of @host for the line, then of @local */
	ev_timer deadline;
	struct duplex *duplex; /* NULL: it does not copy yet */
};

struct relay {
	struct ev_loop *loop;
	struct listener *listener;
	relay_peer_fn *peer;
	LIST_HEAD(connection_list, connection) connections;
	unsigned int n_connections;
};

static void connection_destroy(struct connection *connection)
{
	struct relay *relay = connection->relay;

	ev_io_stop(relay->loop, &connection->io);
	ev_timer_stop(relay->loop, &connection->deadline);
	duplex_destroy(connection->duplex);
	cleanup_close(&connection->host);
	cleanup_close(&connection->local);
	LIST_REMOVE(connection, link);
	relay->n_connections--;
	free(connection);
}

static void on_ended(void *ctx)
{
	connection_destroy(ctx);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct connection *connection = timer->data;

	log_warn("forwarded connection given up, nothing has come of it port=%u", connection->port);
	connection_destroy(connection);
}

static void set_deadline(struct connection *connection, double seconds)
{
	ev_timer_stop(connection->relay->loop, &connection->deadline);
	ev_now_update(connection->relay->loop);
	ev_timer_set(&connection->deadline, seconds, 0);
	ev_timer_start(connection->relay->loop, &connection->deadline);
}

static void on_connect(struct ev_loop *loop, ev_io *io, int events);

/* Begins to connect to localhost, by the next family that the kernel has. */
static bool begin_connect(struct connection *connection)
{
	const struct sockaddr_in ipv4 = { .sin_family = AF_INET,
		                          .sin_port = htons(connection->port),
		                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6,
		                           .sin6_port = htons(connection->port),
		                           .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct {
		const void *address;
		socklen_t size;
	} families[] = { { &ipv4, sizeof(ipv4) }, { &ipv6, sizeof(ipv6) } };

	while (connection->family < sizeof(families) / sizeof(families[0])) {
		const struct sockaddr *address = families[connection->family].address;
		socklen_t size = families[connection->family++].size;

		cleanup_close(&connection->local);
		connection->local =
			socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connection->local < 0 ||
		    (connect(connection->local, address, size) < 0 && errno != EINPROGRESS))
			continue;
		ev_io_init(&connection->io, on_connect, connection->local, EV_WRITE);
		connection->io.data = connection;
		ev_io_start(connection->relay->loop, &connection->io);
		return true;
	}
	return false;
}

static void connect_next(struct connection *connection)
{
	if (begin_connect(connection))
		return;
	log_debug("forwarded connection refused port=%u", connection->port);
	connection_destroy(connection);
}

static void on_connect(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *connection = io->data;
	int cause = 0;
	socklen_t len = sizeof(cause);

	ev_io_stop(loop, io);
	getsockopt(connection->local, SOL_SOCKET, SO_ERROR, &cause, &len);
	if (cause) {
		connect_next(connection);
		return;
	}
	ev_timer_stop(loop, &connection->deadline);
	connection->duplex = duplex_create(loop, take_fd(&connection->host),
	                                   take_fd(&connection->local), on_ended, connection);
}

static bool parse_line(const char *line, uint16_t *port)
{
	const char *number = line + strlen(RELAY_TO_PORT);
	unsigned long value;

	if (strncmp(line, RELAY_TO_PORT, strlen(RELAY_TO_PORT)) != 0 || !*number ||
	    strspn(number, "0123456789") != strlen(number))
		return false;
	value = strtoul(number, NULL, 10);
	*port = (uint16_t)value;
	return value > 0 && value <= UINT16_MAX;
}

static void on_line(struct connection *connection)
{
	if (!parse_line(connection->line, &connection->port)) {
		log_warn("stream refused, it says \"%s\"", connection->line);
		connection_destroy(connection);
		return;
	}
	set_deadline(connection, CONNECT_TIMEOUT_S);
	connect_next(connection);
}

/* By single bytes: what follows the line is not the relay's. */
static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *connection = io->data;
	char byte;
	ssize_t n;

	while ((n = recv(connection->host, &byte, 1, 0)) == 1) {
		if (byte == '\n') {
			ev_io_stop(loop, io);
			on_line(connection);
			return;
		}
		if (connection->len == sizeof(connection->line) - 1)
			break;
		connection->line[connection->len++] = byte;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	connection_destroy(connection); /* it has ended, or is too long */
}

static void connection_add(struct relay *relay, int fd)
{
	struct connection *connection = mem_new(struct connection);

	connection->relay = relay;
	connection->host = fd;
	connection->local = -1;
	LIST_INSERT_HEAD(&relay->connections, connection, link);
	relay->n_connections++;
	ev_io_init(&connection->io, on_readable, fd, EV_READ);
	ev_timer_init(&connection->deadline, on_deadline, 0, 0);
	connection->io.data = connection->deadline.data = connection;
	ev_io_start(relay->loop, &connection->io);
	set_deadline(connection, RELAY_LINE_TIMEOUT_S);
}

static void on_accept(void *ctx, int fd)
{
	struct relay *relay = ctx;
	struct error err;
	uint32_t port;

	if (relay->peer(fd, &port, &err) < 0) {
		log_warn("stream refused cause=\"%s\"", err.text);
		close(fd);
	} else if (relay->n_connections == RELAY_CONNECTIONS_MAX) {
		log_warn("stream refused, there are %d connections", RELAY_CONNECTIONS_MAX);
		close(fd);
	} else {
		connection_add(relay, fd);
	}
}

struct relay *relay_create(struct ev_loop *loop, int listen_fd, relay_peer_fn *peer)
{
	struct relay *relay = mem_new(struct relay);

	relay->loop = loop;
	relay->peer = peer;
	LIST_INIT(&relay->connections);
	relay->listener = listener_create(loop, listen_fd, on_accept, relay);
	return relay;
}

void relay_destroy(struct relay *relay)
{
	struct connection *connection;

	if (!relay)
		return;
	listener_destroy(relay->listener);
	while ((connection = LIST_FIRST(&relay->connections)))
		connection_destroy(connection);
	free(relay);
}
