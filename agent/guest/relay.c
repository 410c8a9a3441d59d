#include "agent/guest/relay.h"

#include <arpa/inet.h>
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
#include "agent/guest/resolver.h"
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

struct nameserver {
	LIST_ENTRY(nameserver) link;
	struct relay *relay;
	struct in_addr address;
	struct resolver *resolver;
};

struct relay {
	struct ev_loop *loop;
	char *cgroup;
	struct listener *listener;
	relay_peer_fn *peer;
	LIST_HEAD(connection_list, connection) connections;
	unsigned int n_connections;
	LIST_HEAD(nameserver_list, nameserver) nameservers;
	unsigned int n_nameservers;
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

static bool parse_port(const char *number, uint16_t *port)
{
	unsigned long value;

	if (!*number || strspn(number, "0123456789") != strlen(number))
		return false;
	value = strtoul(number, NULL, 10);
	*port = (uint16_t)value;
	return value > 0 && value <= UINT16_MAX;
}

static bool to_port(struct connection *connection, const char *number)
{
	if (!parse_port(number, &connection->port))
		return false;
	set_deadline(connection, CONNECT_TIMEOUT_S);
	connect_next(connection);
	return true;
}

static bool parse_address(const char *text, struct in_addr *out)
{
	return inet_pton(AF_INET, text, out) == 1 &&
	       ntohl(out->s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
}

static struct nameserver *find_nameserver(const struct relay *relay, struct in_addr address)
{
	struct nameserver *nameserver;

	LIST_FOREACH (nameserver, &relay->nameservers, link)
		if (nameserver->address.s_addr == address.s_addr)
			break;
	return nameserver;
}

static void nameserver_destroy(struct nameserver *nameserver)
{
	resolver_destroy(nameserver->resolver);
	LIST_REMOVE(nameserver, link);
	nameserver->relay->n_nameservers--;
	free(nameserver);
}

static void on_resolver_ended(void *ctx)
{
	nameserver_destroy(ctx);
}

/* The stream of a nameserver is no connection any more. */
static bool to_resolver(struct connection *connection, const char *text)
{
	struct relay *relay = connection->relay;
	struct nameserver *nameserver;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(RESOLVER_PORT) };
	struct error err;

	if (!parse_address(text, &address.sin_addr) || find_nameserver(relay, address.sin_addr) ||
	    relay->n_nameservers == RELAY_RESOLVERS_MAX)
		return false;
	nameserver = mem_new(struct nameserver);
	nameserver->relay = relay;
	nameserver->address = address.sin_addr;
	if (resolver_create(relay->loop, &address, relay->cgroup, connection->host,
	                    on_resolver_ended, nameserver, &nameserver->resolver, &err) < 0) {
		log_warn("nameserver %s: %s", text, err.text);
		free(nameserver);
	} else {
		connection->host = -1; /* the resolver's */
		LIST_INSERT_HEAD(&relay->nameservers, nameserver, link);
		relay->n_nameservers++;
	}
	connection_destroy(connection);
	return true;
}

static bool to_request(struct connection *connection, const char *text)
{
	const struct nameserver *nameserver;
	struct in_addr address;

	if (!parse_address(text, &address))
		return false;
	nameserver = find_nameserver(connection->relay, address);
	if (nameserver)
		resolver_give(nameserver->resolver, take_fd(&connection->host));
	connection_destroy(connection);
	return true;
}

/* False, and the connection still there: what follows the word is wrong. */
static const struct {
	const char *word;
	bool (*begin)(struct connection *connection, const char *rest);
} lines[] = {
	{ RELAY_TO_PORT, to_port },
	{ RELAY_RESOLVER, to_resolver },
	{ RELAY_ANSWER, to_request },
};

static void on_line(struct connection *connection)
{
	const char *line = connection->line;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t len = strlen(lines[i].word);

		if (!strncmp(line, lines[i].word, len) && lines[i].begin(connection, line + len))
			return;
	}
	log_warn("stream refused, it says \"%s\"", line);
	connection_destroy(connection);
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

struct relay *relay_create(struct ev_loop *loop, int listen_fd, const char *cgroup,
                           relay_peer_fn *peer)
{
	struct relay *relay = mem_new(struct relay);

	relay->loop = loop;
	relay->cgroup = mem_strdup(cgroup);
	relay->peer = peer;
	LIST_INIT(&relay->connections);
	LIST_INIT(&relay->nameservers);
	relay->listener = listener_create(loop, listen_fd, on_accept, relay);
	return relay;
}

void relay_destroy(struct relay *relay)
{
	struct connection *next_connection;
	struct nameserver *next_nameserver;

	if (!relay)
		return;
	listener_destroy(relay->listener);
	for (struct nameserver *n = LIST_FIRST(&relay->nameservers); n; n = next_nameserver) {
		next_nameserver = LIST_NEXT(n, link);
		nameserver_destroy(n);
	}
	for (struct connection *c = LIST_FIRST(&relay->connections); c; c = next_connection) {
		next_connection = LIST_NEXT(c, link);
		connection_destroy(c);
	}
	free(relay->cgroup);
	free(relay);
}
