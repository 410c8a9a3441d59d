#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/vsock.h"
#include "hypervisor/vsock/line.h"
#include "hypervisor/vsock_internal.h"

/*
 * A stream is the socket on which the device was asked for it. The device's lines come one by one,
 * and a callback may destroy the stream: nothing of it is touched after one.
 */

enum stream_state {
	STREAM_OPENING, /* on_open is to come */
	STREAM_OPEN,    /* on_done is to come */
	STREAM_DONE,
};

struct vsock_stream {
	struct vsock *vsock; /* while it opens */
	struct ev_loop *loop;
	enum stream_state state;
	uint32_t guest_port;
	int timeout_ms;
	int fd;
	ev_io io;
	ev_timer timer;
	vsock_opened_fn *on_open;
	done_fn *on_done;
	void *ctx;
	struct vsock_progress progress;
	vsock_moved_fn *on_moved; /* NULL: not asked */
	void *moved_ctx;
};

void vsock_stream_destroy(struct vsock_stream *stream)
{
	if (!stream)
		return;
	ev_io_stop(stream->loop, &stream->io);
	ev_timer_stop(stream->loop, &stream->timer);
	close(stream->fd);
	free(stream);
}

/* The stream has ended, or was never opened: the one callback for that. */
static void stream_end(struct vsock_stream *stream, const struct error *err)
{
	enum stream_state before = stream->state;

	stream->state = STREAM_DONE;
	ev_io_stop(stream->loop, &stream->io);
	ev_timer_stop(stream->loop, &stream->timer);
	if (before == STREAM_OPENING)
		stream->on_open(stream->ctx, 0, err);
	else
		stream->on_done(stream->ctx, err);
}

static void stream_fail(struct vsock_stream *stream, const char *reason)
{
	struct error err;

	error_set(&err, ERROR_UNAVAILABLE, "the stream to vsock port %" PRIu32 ": %s",
	          stream->guest_port, reason);
	stream_end(stream, &err);
}

static void on_line_ok(struct vsock_stream *stream, uint64_t number, const char *rest)
{
	stream->state = STREAM_OPEN;
	ev_timer_stop(stream->loop, &stream->timer);
	stream->on_open(stream->ctx, (uint32_t)number, NULL);
}

static void on_line_moved(struct vsock_stream *stream, uint64_t number, const char *rest)
{
	vsock_moved_fn *on_moved = stream->on_moved;

	stream->progress.moved = number;
	stream->progress.kept = rest ? strtoull(rest, NULL, 10) : 0;
	stream->on_moved = NULL;
	on_moved(stream->moved_ctx, NULL);
}

static void on_line_done(struct vsock_stream *stream, uint64_t number, const char *rest)
{
	stream->progress = (struct vsock_progress){ .moved = number };
	stream_end(stream, NULL);
}

static void on_line_failed(struct vsock_stream *stream, uint64_t number, const char *rest)
{
	const char *reason = rest ? strchr(rest, ' ') : NULL;

	stream->progress.moved = number;
	stream->progress.kept = rest ? strtoull(rest, NULL, 10) : 0;
	stream_fail(stream, reason ? reason + 1 : "it failed");
}

static const struct {
	const char *word;
	bool opening, open, asked; /* in which states it may come; asked: as an answer only */
	void (*handle)(struct vsock_stream *stream, uint64_t number, const char *rest);
} lines[] = {
	{ LINE_OK, true, false, false, on_line_ok },
	{ LINE_MOVED, false, true, true, on_line_moved },
	{ LINE_DONE, false, true, false, on_line_done },
	{ LINE_FAILED, true, true, false, on_line_failed },
};

/* "<word> <number>[ <rest>]" */
static void on_text(struct vsock_stream *stream, char *text)
{
	const char *word = strsep(&text, " ");
	const char *number = strsep(&text, " ");

	for (size_t i = 0; number && i < sizeof(lines) / sizeof(lines[0]); i++) {
		bool expected = stream->state == STREAM_OPENING ? lines[i].opening : lines[i].open;

		if (strcmp(word, lines[i].word) != 0 || !expected ||
		    (lines[i].asked && !stream->on_moved))
			continue;
		lines[i].handle(stream, strtoull(number, NULL, 10), text);
		return;
	}
	stream_fail(stream, "the vsock device said what was not expected");
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct vsock_stream *stream = io->data;
	char line[LINE_MAX_SIZE];
	int passed = -1;
	int r = line_receive(stream->fd, line, &passed);

	if (passed >= 0)
		close(passed);
	if (r > 0)
		on_text(stream, line);
	else if (r != -EAGAIN)
		stream_fail(stream, "the vsock device has gone");
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct vsock_stream *stream = timer->data;
	struct error err;

	error_set(&err, ERROR_DEADLINE_EXCEEDED,
	          "the guest did not take a stream on its vsock port %" PRIu32 " within %d ms",
	          stream->guest_port, stream->timeout_ms);
	vsock_ping(stream->vsock, stream->timeout_ms);
	stream_end(stream, &err);
}

/* Sends @line with @fd, which it takes over. */
static int open_stream(struct vsock *vsock, uint32_t guest_port, const char *line, int fd,
                       int timeout_ms, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                       struct vsock_stream **out, struct error *err)
{
	autoclose int passed = fd;
	int control = vsock_dial(vsock, line, passed, err);
	struct vsock_stream *stream;

	if (control < 0)
		return control;
	stream = mem_new(struct vsock_stream);
	*stream = (struct vsock_stream){
		.vsock = vsock,
		.loop = vsock_loop(vsock),
		.guest_port = guest_port,
		.timeout_ms = timeout_ms,
		.fd = control,
		.on_open = on_open,
		.on_done = on_done,
		.ctx = ctx,
	};
	ev_io_init(&stream->io, on_readable, control, EV_READ);
	ev_timer_init(&stream->timer, on_timeout, timeout_ms / 1000.0, 0);
	ev_set_priority(&stream->io, EV_MAXPRI);
	stream->io.data = stream->timer.data = stream;
	ev_io_start(stream->loop, &stream->io);
	ev_timer_start(stream->loop, &stream->timer);
	*out = stream;
	return 0;
}

int vsock_stream_open(struct vsock *vsock, uint32_t guest_port, enum vsock_direction direction,
                      int fd, int timeout_ms, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                      struct vsock_stream **out, struct error *err)
{
	autofree char *line = mem_printf(LINE_CONNECT " %" PRIu32 " %s%s\n", guest_port,
	                                 direction == VSOCK_READ ? LINE_READ : LINE_WRITE,
	                                 fd < 0 ? " " LINE_LATER : "");

	return open_stream(vsock, guest_port, line, fd, timeout_ms, on_open, on_done, ctx, out,
	                   err);
}

int vsock_stream_open_duplex(struct vsock *vsock, uint32_t guest_port, const char *greeting, int fd,
                             int timeout_ms, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                             struct vsock_stream **out, struct error *err)
{
	autofree char *line =
		mem_printf(LINE_CONNECT " %" PRIu32 " " LINE_DUPLEX " %s\n", guest_port, greeting);

	return open_stream(vsock, guest_port, line, fd, timeout_ms, on_open, on_done, ctx, out,
	                   err);
}

static int stream_say(struct vsock_stream *stream, const char *line, int pass, struct error *err)
{
	int r = stream->state == STREAM_DONE ? -EPIPE : line_send(stream->fd, line, pass);

	if (r < 0)
		return error_set(err, ERROR_UNAVAILABLE,
		                 "the stream to vsock port %" PRIu32 " has ended",
		                 stream->guest_port);
	return 0;
}

int vsock_stream_attach(struct vsock_stream *stream, int fd, struct error *err)
{
	autoclose int passed = fd;

	return stream_say(stream, LINE_ATTACH "\n", passed, err);
}

const struct vsock_progress *vsock_stream_progress(const struct vsock_stream *stream)
{
	return &stream->progress;
}

int vsock_stream_moved(struct vsock_stream *stream, vsock_moved_fn *fn, void *ctx,
                       struct error *err)
{
	int r;

	if (stream->on_moved)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "the count of a stream is asked for already");
	r = stream_say(stream, LINE_MOVED "\n", -1, err);
	if (r < 0)
		return r;
	stream->on_moved = fn;
	stream->moved_ctx = ctx;
	return 0;
}
