#include "shim/pod/loopback_relay.h"

#include <ev.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/loop/listener.h"
#include "common/mem.h"
#include "hypervisor/vsock.h"
#include "proto/vsock_ports.h"
#include "shim/network/loopback.h"

struct connection {
	LIST_ENTRY(connection) link;
	struct loopback_relay *relay;
	uint16_t port;
	struct vsock_stream *stream;
};

struct loopback_relay {
	struct ev_loop *loop;
	struct loopback_relay_config config;
	struct listener *listeners[LOOPBACK_FAMILIES];
	LIST_HEAD(connection_list, connection) connections;
	unsigned int n_connections;
};

static void connection_destroy(struct connection *connection)
{
	vsock_stream_destroy(connection->stream);
	LIST_REMOVE(connection, link);
	connection->relay->n_connections--;
	free(connection);
}

static void on_end(void *ctx, const struct error *err)
{
	struct connection *connection = ctx;

	log_debug("forwarded connection ended port=%u cause=\"%s\"", connection->port,
	          err ? err->text : "");
	connection_destroy(connection);
}

static void on_open(void *ctx, uint32_t host_port, const struct error *err)
{
	if (err)
		on_end(ctx, err);
}

/* The port that the peer has connected to; 0: it has gone. */
static uint16_t port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address = { 0 };
	socklen_t len = sizeof(address);

	if (getsockname(fd, &address.any, &len) < 0)
		return 0;
	return ntohs(address.any.sa_family == AF_INET ? address.in.sin_port
	                                              : address.in6.sin6_port);
}

/* Who waits is told at once, by a reset. */
static void refuse(int fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

/* @fd is taken over. */
static void forward(struct loopback_relay *relay, int fd, uint16_t port)
{
	struct connection *connection = mem_new(struct connection);
	autofree char *greeting = mem_printf(RELAY_TO_PORT "%u", port);
	struct error err;

	connection->relay = relay;
	connection->port = port;
	LIST_INSERT_HEAD(&relay->connections, connection, link);
	relay->n_connections++;
	if (vsock_stream_open_duplex(relay->config.vsock, VSOCK_PORT_RELAY, greeting, fd,
	                             relay->config.timeout_ms, on_open, on_end, connection,
	                             &connection->stream, &err) < 0) {
		log_warn("a connection to port %u is not forwarded: %s", port, err.text);
		connection_destroy(connection);
	}
}

static void on_accept(void *ctx, int fd)
{
	struct loopback_relay *relay = ctx;
	uint16_t port = port_of(fd);

	if (port && relay->n_connections < RELAY_CONNECTIONS_MAX) {
		forward(relay, fd, port);
		return;
	}
	if (port)
		log_warn("a connection to port %u is not forwarded: there are %d already", port,
		         RELAY_CONNECTIONS_MAX);
	refuse(fd);
}

struct loopback_relay *loopback_relay_create(struct ev_loop *loop,
                                             const struct loopback_relay_config *config)
{
	struct loopback_relay *relay = mem_new(struct loopback_relay);

	relay->loop = loop;
	relay->config = *config;
	LIST_INIT(&relay->connections);
	for (unsigned int i = 0; i < LOOPBACK_FAMILIES; i++) {
		int fd = loopback_take(config->loopback, i);

		if (fd >= 0)
			relay->listeners[i] = listener_create(loop, fd, on_accept, relay);
	}
	return relay;
}

void loopback_relay_destroy(struct loopback_relay *relay)
{
	struct connection *next;

	if (!relay)
		return;
	for (unsigned int i = 0; i < LOOPBACK_FAMILIES; i++)
		listener_destroy(relay->listeners[i]);
	loopback_destroy(relay->config.loopback);
	for (struct connection *c = LIST_FIRST(&relay->connections); c; c = next) {
		next = LIST_NEXT(c, link);
		connection_destroy(c);
	}
	free(relay);
}
