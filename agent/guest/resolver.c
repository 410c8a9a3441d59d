#include "agent/guest/resolver.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/guest/dns_message.h"
#include "agent/guest/duplex.h"
#include "agent/guest/port_redirect.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/log.h"
#include "common/loop/listener.h"
#include "common/mem.h"
#include "proto/vsock_ports.h"

#define QUERY_MAX   4096 /* by UDP: a query is one name */
#define BACKLOG     64
#define DEADLINE_S  10
#define TRIES       8
#define LENGTH_SIZE 2 /* before each message, by TCP (RFC 1035, section 4.2.2) */

/*
 * Who asks. It waits for a connection; then a query by UDP goes over that and its answer comes
 * back, and a connection by TCP is copied.
 */
struct request {
	TAILQ_ENTRY(request) link;
	struct resolver *resolver;
	bool is_waiting;
	int client;              /* by TCP: its connection; -1: by UDP, or it is the duplex's */
	struct sockaddr_in from; /* by UDP */
	size_t limit;            /* by UDP: bytes of an answer */
	struct buf query;        /* by UDP: length and message */
	struct buf answer;
	int stream; /* by UDP: the connection; -1: none */
	ev_io io;
	ev_timer deadline;
	struct duplex *duplex;
};

struct resolver {
	struct ev_loop *loop;
	int control;
	int udp;
	struct listener *tcp;
	struct port_redirect *redirect;
	ev_io told;  /* by the host */
	ev_io asked; /* by UDP */
	TAILQ_HEAD(request_list, request) requests;
	unsigned int n_requests;
	resolver_ended_fn *ended;
	void *ctx;
};

static void request_destroy(struct request *request)
{
	struct resolver *resolver = request->resolver;

	ev_io_stop(resolver->loop, &request->io);
	ev_timer_stop(resolver->loop, &request->deadline);
	duplex_destroy(request->duplex);
	cleanup_close(&request->client);
	cleanup_close(&request->stream);
	buf_fini(&request->query);
	buf_fini(&request->answer);
	TAILQ_REMOVE(&resolver->requests, request, link);
	resolver->n_requests--;
	free(request);
}

static void send_answer(const struct request *request, const void *data, size_t len)
{
	if (len)
		sendto(request->resolver->udp, data, len, MSG_NOSIGNAL,
		       (const struct sockaddr *)&request->from, sizeof(request->from));
}

/* Who has asked by UDP is told; who has connected sees that it ends. */
static void request_fail(struct request *request)
{
	uint8_t query[QUERY_MAX];
	size_t len = request->query.len;

	if (request->client < 0 && !request->duplex && len > LENGTH_SIZE) {
		len -= LENGTH_SIZE;
		memcpy(query, buf_data(&request->query) + LENGTH_SIZE, len);
		send_answer(request, query, dns_fail(query, len));
	}
	request_destroy(request);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	request_fail(timer->data);
}

/* Asks the host for one connection more. Returns NULL when there are too many. */
static struct request *request_new(struct resolver *resolver)
{
	struct request *request;

	if (resolver->n_requests == RESOLVER_REQUESTS_MAX ||
	    send(resolver->control, RELAY_WANT, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		return NULL;
	request = mem_new(struct request);
	*request = (struct request){
		.resolver = resolver,
		.is_waiting = true,
		.client = -1,
		.stream = -1,
		.query = BUF_INIT(LENGTH_SIZE + QUERY_MAX),
		.answer = BUF_INIT(LENGTH_SIZE + DNS_MESSAGE_MAX),
	};
	ev_init(&request->io, NULL);
	ev_timer_init(&request->deadline, on_deadline, DEADLINE_S, 0);
	request->io.data = request->deadline.data = request;
	ev_now_update(resolver->loop);
	ev_timer_start(resolver->loop, &request->deadline);
	TAILQ_INSERT_TAIL(&resolver->requests, request, link);
	resolver->n_requests++;
	return request;
}

static void on_query(struct ev_loop *loop, ev_io *io, int events)
{
	struct resolver *resolver = io->data;
	struct sockaddr_in from = { 0 };
	socklen_t from_size = sizeof(from);
	uint8_t data[LENGTH_SIZE + QUERY_MAX];
	ssize_t n = recvfrom(resolver->udp, data + LENGTH_SIZE, QUERY_MAX, MSG_TRUNC,
	                     (struct sockaddr *)&from, &from_size);
	struct request *request;

	if (n < DNS_HEADER_SIZE || n > QUERY_MAX)
		return;
	request = request_new(resolver);
	if (!request)
		return;
	data[0] = (uint8_t)(n >> 8);
	data[1] = (uint8_t)n;
	request->from = from;
	request->limit = dns_datagram_limit(data + LENGTH_SIZE, (size_t)n);
	buf_append(&request->query, data, LENGTH_SIZE + (size_t)n);
}

static void on_connection(void *ctx, int fd)
{
	struct request *request = request_new(ctx);

	if (request)
		request->client = fd;
	else
		close(fd);
}

/* True once the answer is whole, or will never be. */
static bool read_answer(struct request *request)
{
	struct buf *answer = &request->answer;
	uint8_t *room = buf_reserve(answer, buf_room(answer));
	ssize_t n = recv(request->stream, room, buf_room(answer), 0);
	const uint8_t *data;
	size_t len;

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		return true;
	buf_added(answer, (size_t)n);
	data = (const uint8_t *)buf_data(answer);
	if (answer->len < LENGTH_SIZE)
		return false;
	len = (size_t)(data[0] << 8 | data[1]);
	return answer->len >= LENGTH_SIZE + len;
}

static void finish(struct request *request)
{
	struct buf *answer = &request->answer;
	uint8_t *data = (uint8_t *)buf_data(answer);
	size_t len = answer->len < LENGTH_SIZE ? 0 : (size_t)(data[0] << 8 | data[1]);

	if (len < DNS_HEADER_SIZE || answer->len < LENGTH_SIZE + len) {
		request_fail(request);
		return;
	}
	len = dns_fit(data + LENGTH_SIZE, len, request->limit);
	send_answer(request, data + LENGTH_SIZE, len);
	request_destroy(request);
}

/* The query stays whole until the answer is there: it may have to be answered as failed. */
static void on_stream(struct ev_loop *loop, ev_io *io, int events)
{
	struct request *request = io->data;
	const struct buf *query = &request->query;

	if (events & EV_WRITE) { /* the socket is new: there is room for a query */
		if (send(request->stream, buf_data(query), query->len, MSG_NOSIGNAL) !=
		    (ssize_t)query->len) {
			request_fail(request);
			return;
		}
		ev_io_stop(loop, io);
		ev_io_set(io, request->stream, EV_READ);
		ev_io_start(loop, io);
	} else if (read_answer(request)) {
		finish(request);
	}
}

static void on_copied(void *ctx)
{
	request_destroy(ctx);
}

static struct request *find_waiting(const struct resolver *resolver)
{
	struct request *request;

	TAILQ_FOREACH (request, &resolver->requests, link)
		if (request->is_waiting)
			break;
	return request;
}

void resolver_give(struct resolver *resolver, int fd)
{
	struct request *request = find_waiting(resolver);

	if (!request) { /* who has asked has given up */
		close(fd);
		return;
	}
	request->is_waiting = false;
	if (request->client >= 0) {
		ev_timer_stop(resolver->loop, &request->deadline);
		request->duplex = duplex_create(resolver->loop, fd, take_fd(&request->client),
		                                on_copied, request);
		return;
	}
	request->stream = fd;
	ev_io_init(&request->io, on_stream, fd, EV_WRITE);
	request->io.data = request;
	ev_io_start(resolver->loop, &request->io);
}

/* One byte for each connection that the host cannot make; and its end. */
static void on_told(struct ev_loop *loop, ev_io *io, int events)
{
	struct resolver *resolver = io->data;
	struct request *request;
	char byte;
	ssize_t n = recv(resolver->control, &byte, 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		resolver->ended(resolver->ctx);
		return;
	}
	request = find_waiting(resolver);
	if (request)
		request_fail(request);
}

/* Port 0 becomes one that is free. */
static int open_socket(struct sockaddr_in *address, int type, struct error *err)
{
	autoclose int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*address);

	if (fd < 0 || bind(fd, (struct sockaddr *)address, size) < 0 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) < 0) ||
	    getsockname(fd, (struct sockaddr *)address, &size) < 0)
		return error_errno(err, "cannot listen as a nameserver");
	return take_fd(&fd);
}

/* The port that is free for TCP may not be for UDP. */
static int open_sockets(struct sockaddr_in *address, int *tcp, int *udp, struct error *err)
{
	for (int i = 0; i < TRIES && *udp < 0; i++) {
		cleanup_close(tcp);
		address->sin_port = 0;
		*tcp = open_socket(address, SOCK_STREAM, err);
		if (*tcp < 0)
			break;
		*udp = open_socket(address, SOCK_DGRAM, err);
	}
	return *udp < 0 ? error_code_errno(err->code) : 0;
}

int resolver_create(struct ev_loop *loop, const struct sockaddr_in *address, const char *cgroup,
                    int control, resolver_ended_fn *ended, void *ctx, struct resolver **out,
                    struct error *err)
{
	autodestroy(port_redirect) struct port_redirect *redirect = NULL;
	struct sockaddr_in own = *address;
	autoclose int tcp = -1;
	autoclose int udp = -1;
	struct resolver *resolver;
	int r = open_sockets(&own, &tcp, &udp, err);

	if (r == 0)
		r = port_redirect_create(cgroup, address, ntohs(own.sin_port), &redirect, err);
	if (r < 0)
		return r;
	if (send(control, RELAY_READY, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		return error_set(err, ERROR_UNAVAILABLE, "the host has gone");
	resolver = mem_new(struct resolver);
	resolver->loop = loop;
	resolver->control = control;
	resolver->udp = take_fd(&udp);
	resolver->tcp = listener_create(loop, take_fd(&tcp), on_connection, resolver);
	resolver->redirect = take_ptr(&redirect);
	resolver->ended = ended;
	resolver->ctx = ctx;
	TAILQ_INIT(&resolver->requests);
	ev_io_init(&resolver->told, on_told, control, EV_READ);
	ev_io_init(&resolver->asked, on_query, resolver->udp, EV_READ);
	resolver->told.data = resolver->asked.data = resolver;
	ev_io_start(loop, &resolver->told);
	ev_io_start(loop, &resolver->asked);
	*out = resolver;
	return 0;
}

void resolver_destroy(struct resolver *resolver)
{
	struct request *next;

	if (!resolver)
		return;
	for (struct request *r = TAILQ_FIRST(&resolver->requests); r; r = next) {
		next = TAILQ_NEXT(r, link);
		request_destroy(r);
	}
	ev_io_stop(resolver->loop, &resolver->told);
	ev_io_stop(resolver->loop, &resolver->asked);
	port_redirect_destroy(resolver->redirect);
	listener_destroy(resolver->tcp);
	close(resolver->udp);
	close(resolver->control);
	free(resolver);
}
