#include "fake_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/vsock.h"
#include "proto/vsock_ports.h"

struct vsock_stream {
	size_t i; /* in fake.streams */
	vsock_opened_fn *on_open;
	done_fn *on_done;
	void *ctx;
	vsock_moved_fn *on_moved;
	void *moved_ctx;
};

/* A search for the agent may be under way when it announces itself. */
static struct {
	vsock_connected_fn *done;
	void *ctx;
} connecting[2];
static int n_connecting;

static vsock_accepted_fn *on_accept;
static void *accept_ctx;
static struct vsock_stream *streams[FAKE_STREAMS_MAX];

/* The first of them. */
static void connect_now(void *arg)
{
	int fd = fake_agent_connect();
	vsock_connected_fn *done = connecting[0].done;
	void *ctx = connecting[0].ctx;
	struct error err;

	connecting[0] = connecting[--n_connecting];
	error_set(&err, ERROR_UNAVAILABLE, "no agent");
	done(ctx, fd, fd < 0 ? &err : NULL);
}

int vsock_connect(struct vsock *vsock, uint32_t guest_port, int timeout_ms,
                  vsock_connected_fn *done, void *ctx, struct error *err)
{
	must(guest_port == VSOCK_PORT_AGENT && n_connecting < 2);
	connecting[n_connecting].done = done;
	connecting[n_connecting++].ctx = ctx;
	fake_do_later(connect_now, vsock);
	return 0;
}

int vsock_listen(struct vsock *vsock, uint32_t host_port, vsock_accepted_fn *accept_fn, void *ctx,
                 struct error *err)
{
	must(host_port == VSOCK_PORT_HELLO + 3);
	n_connecting = 0; /* of a machine that is no more */
	on_accept = accept_fn;
	accept_ctx = ctx;
	return 0;
}

void vsock_unlisten(struct vsock *vsock, uint32_t host_port)
{
	must(host_port == VSOCK_PORT_HELLO + 3);
	on_accept = NULL;
}

void fake_vsock_accept(int fd)
{
	if (on_accept)
		on_accept(accept_ctx, fd);
	else
		close(fd);
}

static void stream_opened(void *arg)
{
	struct vsock_stream *stream = arg;

	fake.streams[stream->i].open = true;
	stream->on_open(stream->ctx, fake.streams[stream->i].port, NULL);
}

static void stream_refused(void *arg)
{
	struct vsock_stream *stream = arg;
	struct error err;

	error_set(&err, ERROR_UNAVAILABLE, "no such port");
	stream->on_open(stream->ctx, 0, &err);
}

static int open_stream(int fd, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                       struct vsock_stream **out, struct error *err)
{
	struct vsock_stream *stream;

	if (fake.n_streams == FAKE_STREAMS_MAX) {
		cleanup_close(&fd);
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "no more streams");
	}
	stream = mem_new(struct vsock_stream);
	*stream = (struct vsock_stream){ fake.n_streams, on_open, on_done, ctx, NULL, NULL };
	fake.streams[fake.n_streams].fd = fd;
	fake.streams[fake.n_streams].port = 5000 + (uint32_t)fake.n_streams;
	streams[fake.n_streams++] = stream;
	fake_do_later(fake.streams_refuse ? stream_refused : stream_opened, stream);
	*out = stream;
	return 0;
}

int vsock_stream_open(struct vsock *vsock, uint32_t guest_port, enum vsock_direction direction,
                      int fd, int timeout_ms, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                      struct vsock_stream **out, struct error *err)
{
	must(guest_port == VSOCK_PORT_STREAMS);
	return open_stream(fd, on_open, on_done, ctx, out, err);
}

int vsock_stream_open_duplex(struct vsock *vsock, uint32_t guest_port, const char *greeting, int fd,
                             int timeout_ms, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                             struct vsock_stream **out, struct error *err)
{
	must(guest_port == VSOCK_PORT_RELAY);
	if (fake.n_streams < FAKE_STREAMS_MAX)
		snprintf(fake.streams[fake.n_streams].greeting, sizeof(fake.streams[0].greeting),
		         "%s", greeting);
	return open_stream(fd, on_open, on_done, ctx, out, err);
}

int vsock_stream_attach(struct vsock_stream *stream, int fd, struct error *err)
{
	must(fake.streams[stream->i].fd == -1);
	fake.streams[stream->i].fd = fd;
	return 0;
}

static void stream_moved(void *arg)
{
	struct vsock_stream *stream = arg;

	stream->on_moved(stream->moved_ctx, NULL);
}

int vsock_stream_moved(struct vsock_stream *stream, vsock_moved_fn *fn, void *ctx,
                       struct error *err)
{
	stream->on_moved = fn;
	stream->moved_ctx = ctx;
	fake_do_later(stream_moved, stream);
	return 0;
}

const struct vsock_progress *vsock_stream_progress(const struct vsock_stream *stream)
{
	return &fake.streams[stream->i].progress;
}

void vsock_stream_destroy(struct vsock_stream *stream)
{
	if (!stream)
		return;
	fake_forget_later(stream);
	cleanup_close(&fake.streams[stream->i].fd);
	fake.streams[stream->i].fd = -1;
	streams[stream->i] = NULL;
	free(stream);
}

void fake_stream_done(size_t i)
{
	if (!streams[i] || !fake.streams[i].open)
		return;
	cleanup_close(&fake.streams[i].fd);
	fake.streams[i].fd = -1;
	fake.streams[i].done = true;
	streams[i]->on_done(streams[i]->ctx, NULL);
}
