#include "shim/pod/resolver_relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/vsock.h"
#include "proto/vsock_ports.h"
#include "shim/network/netns.h"

/* What a guest asks for in one round of the loop, and how long it rests after that. */
#define BATCH   16
#define PAUSE_S 0.02

/* A connection to the nameserver. */
struct link {
	LIST_ENTRY(link) in_list;
	struct resolver_relay *relay;
	int fd; /* while it is being connected, then -1 */
	ev_io connected;
	ev_timer deadline;
	struct vsock_stream *stream; /* NULL: it is being connected */
};

struct resolver_relay {
	struct ev_loop *loop;
	struct resolver_relay_config config;
	char text[INET_ADDRSTRLEN]; /* the address */
	int control;                /* our end of the stream on which the agent asks */
	struct vsock_stream *stream;
	ev_io told;
	ev_timer timer; /* until the agent listens its deadline, then a pause */
	bool is_settled;
	done_fn *on_settled;
	void *ctx;
	LIST_HEAD(link_list, link) links;
	unsigned int n_links;
};

static void link_destroy(struct link *link)
{
	struct resolver_relay *relay = link->relay;

	ev_io_stop(relay->loop, &link->connected);
	ev_timer_stop(relay->loop, &link->deadline);
	vsock_stream_destroy(link->stream);
	cleanup_close(&link->fd);
	LIST_REMOVE(link, in_list);
	if (relay->n_links-- == RESOLVER_RELAY_LINKS_MAX && relay->stream &&
	    !ev_is_active(&relay->timer))
		ev_io_start(relay->loop, &relay->told);
	free(link);
}

/* The guest asks for nothing any more. */
static void stop(struct resolver_relay *relay)
{
	ev_io_stop(relay->loop, &relay->told);
	ev_timer_stop(relay->loop, &relay->timer);
	vsock_stream_destroy(take_ptr(&relay->stream));
	cleanup_close(&relay->control);
}

/* Its last act may be the callback. */
static void settle(struct resolver_relay *relay, const struct error *err)
{
	relay->is_settled = true;
	relay->on_settled(relay->ctx, err);
}

static void fail(struct resolver_relay *relay, const struct error *cause)
{
	struct error err;

	error_copy(&err, cause);
	error_wrap(&err, "nameserver %s", relay->text);
	stop(relay);
	if (relay->is_settled)
		log_warn("%s", err.text);
	else
		settle(relay, &err);
}

static void fail_with(struct resolver_relay *relay, enum error_code code, const char *text)
{
	struct error err;

	error_set(&err, code, "%s", text);
	fail(relay, &err);
}

/* The guest is told; what it does not read is lost. */
static void refuse(struct link *link)
{
	if (link->relay->control >= 0)
		send(link->relay->control, RELAY_FAILED, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	link_destroy(link);
}

static void on_link_done(void *ctx, const struct error *err)
{
	link_destroy(ctx);
}

static void on_link_open(void *ctx, uint32_t host_port, const struct error *err)
{
	if (err)
		link_destroy(ctx);
}

static void hand_over(struct link *link)
{
	const struct resolver_relay *relay = link->relay;
	autofree char *greeting = mem_printf(RELAY_ANSWER "%s", relay->text);
	struct error err;

	ev_timer_stop(relay->loop, &link->deadline);
	if (vsock_stream_open_duplex(relay->config.vsock, VSOCK_PORT_RELAY, greeting,
	                             take_fd(&link->fd), relay->config.timeout_ms, on_link_open,
	                             on_link_done, link, &link->stream, &err) < 0) {
		log_warn("nameserver %s: %s", relay->text, err.text);
		refuse(link);
	}
}

static void on_connected(struct ev_loop *loop, ev_io *io, int events)
{
	struct link *link = io->data;
	int cause = 0;
	socklen_t len = sizeof(cause);

	ev_io_stop(loop, io);
	getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &cause, &len);
	if (cause)
		refuse(link);
	else
		hand_over(link);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	refuse(timer->data);
}

/* In the namespace. */
static int begin_connect(void *ctx, struct error *err)
{
	struct link *link = ctx;
	const struct resolver_relay_config *config = &link->relay->config;
	const struct sockaddr_in address = { .sin_family = AF_INET,
		                             .sin_port = htons(config->port),
		                             .sin_addr = config->address };

	link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (link->fd < 0 ||
	    (connect(link->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
	     errno != EINPROGRESS))
		return error_errno(err, "cannot connect to %s", link->relay->text);
	return 0;
}

static void make_link(struct resolver_relay *relay)
{
	struct link *link = mem_new(struct link);

	link->relay = relay;
	link->fd = -1;
	LIST_INSERT_HEAD(&relay->links, link, in_list);
	relay->n_links++;
	ev_io_init(&link->connected, on_connected, -1, EV_WRITE);
	ev_timer_init(&link->deadline, on_deadline, relay->config.timeout_ms / 1e3, 0);
	link->connected.data = link->deadline.data = link;
	if (netns_call(relay->config.netns, begin_connect, link, NULL) < 0) {
		refuse(link);
		return;
	}
	ev_io_set(&link->connected, link->fd, EV_WRITE);
	ev_io_start(relay->loop, &link->connected);
	ev_timer_start(relay->loop, &link->deadline);
}

/* The first byte says that the agent listens. May destroy the relay. */
static void on_ready(struct resolver_relay *relay, char byte)
{
	if (byte != *RELAY_READY) {
		fail_with(relay, ERROR_INTERNAL, "the guest said what was not expected");
		return;
	}
	ev_timer_stop(relay->loop, &relay->timer);
	log_debug("nameserver address=%s is reached from the guest", relay->text);
	settle(relay, NULL);
}

static void on_wants(struct resolver_relay *relay, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != *RELAY_WANT) {
			fail_with(relay, ERROR_INTERNAL, "the guest said what was not expected");
			return;
		}
		make_link(relay);
	}
	if (n == BATCH) {
		ev_timer_set(&relay->timer, PAUSE_S, 0);
		ev_timer_start(relay->loop, &relay->timer);
	}
	if (n == BATCH || relay->n_links == RESOLVER_RELAY_LINKS_MAX)
		ev_io_stop(relay->loop, &relay->told);
}

static void on_told(struct ev_loop *loop, ev_io *io, int events)
{
	struct resolver_relay *relay = io->data;
	unsigned int room = RESOLVER_RELAY_LINKS_MAX - relay->n_links;
	char bytes[BATCH];
	ssize_t n = recv(relay->control, bytes,
	                 !relay->is_settled ? 1
	                 : room < BATCH     ? room
	                                    : BATCH,
	                 MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		ev_io_stop(loop, io); /* the device says why: on_stream_done() */
	else if (!relay->is_settled)
		on_ready(relay, *bytes);
	else
		on_wants(relay, bytes, (size_t)n);
}

/* Of the agent's silence, or of a pause. */
static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct resolver_relay *relay = timer->data;

	if (!relay->is_settled)
		fail_with(relay, ERROR_DEADLINE_EXCEEDED, "the guest does not listen in time");
	else if (relay->n_links < RESOLVER_RELAY_LINKS_MAX)
		ev_io_start(loop, &relay->told);
}

static void on_stream_done(void *ctx, const struct error *err)
{
	struct resolver_relay *relay = ctx;

	if (err)
		fail(relay, err);
	else
		fail_with(relay, ERROR_UNAVAILABLE, "the guest has ended it");
}

static void on_stream_open(void *ctx, uint32_t host_port, const struct error *err)
{
	if (err)
		fail(ctx, err);
}

static int open_control(struct resolver_relay *relay, struct error *err)
{
	autofree char *greeting = mem_printf(RELAY_RESOLVER "%s", relay->text);
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_errno(err, "cannot make a socket");
	relay->control = ends[0];
	return vsock_stream_open_duplex(relay->config.vsock, VSOCK_PORT_RELAY, greeting, ends[1],
	                                relay->config.timeout_ms, on_stream_open, on_stream_done,
	                                relay, &relay->stream, err);
}

struct resolver_relay *resolver_relay_create(struct ev_loop *loop,
                                             const struct resolver_relay_config *config,
                                             done_fn *on_settled, void *ctx)
{
	struct resolver_relay *relay = mem_new(struct resolver_relay);
	double seconds = config->timeout_ms / 1e3;
	struct error err;

	relay->loop = loop;
	relay->config = *config;
	relay->control = -1;
	relay->on_settled = on_settled;
	relay->ctx = ctx;
	LIST_INIT(&relay->links);
	inet_ntop(AF_INET, &config->address, relay->text, sizeof(relay->text));
	ev_timer_init(&relay->timer, on_timer, 0, 0);
	ev_io_init(&relay->told, on_told, -1, EV_READ);
	relay->timer.data = relay->told.data = relay;
	if (open_control(relay, &err) < 0) {
		log_warn("nameserver %s: %s", relay->text, err.text);
		seconds = 0; /* the callback comes from the loop */
	} else {
		ev_io_set(&relay->told, relay->control, EV_READ);
		ev_io_start(loop, &relay->told);
	}
	ev_now_update(loop);
	ev_timer_set(&relay->timer, seconds, 0);
	ev_timer_start(loop, &relay->timer);
	return relay;
}

void resolver_relay_destroy(struct resolver_relay *relay)
{
	struct link *next;

	if (!relay)
		return;
	stop(relay);
	for (struct link *l = LIST_FIRST(&relay->links); l; l = next) {
		next = LIST_NEXT(l, in_list);
		link_destroy(l);
	}
	free(relay);
}
