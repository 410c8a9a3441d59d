#include "agent/pod/streams.h"

#include <ev.h>
#include <sys/queue.h>
#include <unistd.h>

#include "agent/pod/pump.h"
#include "common/error.h"
#include "common/log.h"
#include "common/loop/listener.h"
#include "common/mem.h"
#include "proto/vsock_ports.h"

struct stream {
	LIST_ENTRY(stream) link;
	struct streams *streams;
	uint32_t port;
	int fd;
	ev_timer deadline;
};

struct drain {
	LIST_ENTRY(drain) link;
	uint32_t port;
	struct pump *pump;
};

struct streams {
	struct ev_loop *loop;
	struct listener *listener;
	streams_peer_fn *peer;
	LIST_HEAD(stream_list, stream) unclaimed;
	unsigned int nunclaimed;
	LIST_HEAD(drain_list, drain) drains;
};

/* Returns the stream's descriptor. */
static int stream_take(struct stream *stream)
{
	struct streams *streams = stream->streams;
	int fd = stream->fd;

	ev_timer_stop(streams->loop, &stream->deadline);
	LIST_REMOVE(stream, link);
	streams->nunclaimed--;
	free(stream);
	return fd;
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct stream *stream = watcher->data;

	log_warn("stream forgotten, no call has named it port=%u", stream->port);
	close(stream_take(stream));
}

static void stream_add(struct streams *streams, int fd, uint32_t port)
{
	struct stream *stream = mem_new(struct stream);

	stream->streams = streams;
	stream->port = port;
	stream->fd = fd;
	ev_timer_init(&stream->deadline, on_deadline, VSOCK_STREAM_CLAIM_S, 0);
	stream->deadline.data = stream;
	ev_timer_start(streams->loop, &stream->deadline);
	LIST_INSERT_HEAD(&streams->unclaimed, stream, link);
	streams->nunclaimed++;
}

static void on_connection(void *ctx, int fd)
{
	struct streams *streams = ctx;
	struct error err;
	uint32_t port;

	if (streams->peer(fd, &port, &err) < 0) {
		log_warn("stream refused cause=\"%s\"", err.text);
		close(fd);
	} else if (streams->nunclaimed == STREAMS_UNCLAIMED_MAX) {
		log_warn("stream refused, too many wait to be named port=%u", port);
		close(fd);
	} else {
		stream_add(streams, fd, port);
	}
}

struct streams *streams_create(struct ev_loop *loop, int listen_fd, streams_peer_fn *peer)
{
	struct streams *streams = mem_new(struct streams);

	streams->loop = loop;
	streams->peer = peer;
	LIST_INIT(&streams->unclaimed);
	LIST_INIT(&streams->drains);
	streams->listener = listener_create(loop, listen_fd, on_connection, streams);
	return streams;
}

static struct stream *find(const struct streams *streams, uint32_t port)
{
	struct stream *stream;

	LIST_FOREACH (stream, &streams->unclaimed, link)
		if (stream->port == port)
			break;
	return stream;
}

int streams_claim(struct streams *streams, uint32_t port, int *out, struct error *err)
{
	struct stream *stream = find(streams, port);

	if (!stream) { /* a call that follows a connect finds its stream */
		listener_accept_all(streams->listener);
		stream = find(streams, port);
	}
	if (!stream)
		return error_set(err, ERROR_NOT_FOUND, "no stream comes from port %u of the host",
		                 port);
	*out = stream_take(stream);
	return 0;
}

static void drain_free(struct drain *drain)
{
	LIST_REMOVE(drain, link);
	pump_destroy(drain->pump);
	free(drain);
}

static void on_drained(void *ctx)
{
	drain_free(ctx);
}

void streams_drain(struct streams *streams, uint32_t port, int from, int to)
{
	struct drain *drain = mem_new(struct drain);

	drain->port = port;
	LIST_INSERT_HEAD(&streams->drains, drain, link);
	drain->pump = pump_create(streams->loop, from, to, on_drained, drain);
}

bool streams_written(const struct streams *streams, uint32_t port, uint64_t *out)
{
	const struct drain *drain;

	LIST_FOREACH (drain, &streams->drains, link)
		if (drain->port == port) {
			*out = pump_arrived(drain->pump);
			return true;
		}
	return false;
}

void streams_destroy(struct streams *streams)
{
	struct stream *next_stream;
	struct drain *next_drain;

	if (!streams)
		return;
	for (struct stream *stream = LIST_FIRST(&streams->unclaimed); stream;
	     stream = next_stream) {
		next_stream = LIST_NEXT(stream, link);
		close(stream_take(stream));
	}
	for (struct drain *drain = LIST_FIRST(&streams->drains); drain; drain = next_drain) {
		next_drain = LIST_NEXT(drain, link);
		drain_free(drain);
	}
	listener_destroy(streams->listener);
	free(streams);
}
