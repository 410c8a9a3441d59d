#include "shim/stdio/stdio.h"

#include <assert.h>
#include <ev.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/vsock.h"
#include "proto/vsock_ports.h"
#include "shim/config/config.h"
#include "shim/stdio/fifo_hold.h"
#include "shim/stdio/stdio_sink.h"
#include "shim/stdio/stdio_uri.h"

#define PROGRESS_LOOK_S 0.2 /* how often a drain asks whether bytes move */

enum {
	STREAM_IN,
	STREAM_OUT,
	STREAM_ERR,
	STREAMS,
};

struct stream {
	struct stdio *stdio;
	struct vsock_stream *vsock; /* NULL: there is no such stream */
	struct fifo_hold *hold;     /* of output into a FIFO */
	uint32_t port;
	bool open;
	bool done;  /* of output: it is with its reader, or given up */
	bool asked; /* an answer of vsock_stream_moved() is on its way */
	uint64_t moved;
};

struct stdio {
	struct ev_loop *loop;
	const struct config *config;
	struct stream streams[STREAMS];
	struct stdio_ports ports;
	struct stdio_sink *sink;
	int stdin_read; /* -1 once it is the device's */
	int stdin_keep; /* a write end, so that a FIFO without a writer is not at its end */

	struct vsock *vsock;
	bool has_stdin;
	done_fn *on_open; /* NULL once called */
	void *open_ctx;

	void (*on_drained)(void *ctx);
	void *drain_ctx;
	ev_timer look;
	ev_tstamp drain_began;
	ev_tstamp last_progress;
};

static void end_open(struct stdio *stdio, const struct error *err)
{
	done_fn *done = stdio->on_open;

	stdio->on_open = NULL;
	if (done)
		done(stdio->open_ctx, err);
}

static void on_stream_open(void *ctx, uint32_t host_port, const struct error *err)
{
	struct stream *stream = ctx;
	struct stdio *stdio = stream->stdio;

	if (err) {
		end_open(stdio, err);
		return;
	}
	stream->open = true;
	stream->port = host_port;
	for (int i = 0; i < STREAMS; i++)
		if (stdio->streams[i].vsock && !stdio->streams[i].open)
			return;
	stdio->ports = (struct stdio_ports){
		.in = stdio->streams[STREAM_IN].port,
		.out = stdio->streams[STREAM_OUT].port,
		.err = stdio->streams[STREAM_ERR].port,
	};
	end_open(stdio, NULL);
}

static bool output_flows(const struct stdio *stdio)
{
	for (int i = STREAM_OUT; i < STREAMS; i++)
		if (stdio->streams[i].open && !stdio->streams[i].done)
			return true;
	return false;
}

/* Its last act is the callback, which may free the stdio. */
static void on_sink_ended(void *ctx)
{
	struct stdio *stdio = ctx;
	void (*done)(void *ctx) = stdio->on_drained;

	stdio->on_drained = NULL;
	done(stdio->drain_ctx);
}

/* Output has arrived or is given up: who takes it sees its end. May free the stdio. */
static void end_output(struct stdio *stdio)
{
	ev_timer_stop(stdio->loop, &stdio->look);
	for (int i = STREAM_OUT; i < STREAMS; i++) {
		vsock_stream_destroy(take_ptr(&stdio->streams[i].vsock));
		fifo_hold_destroy(take_ptr(&stdio->streams[i].hold));
		stdio->streams[i].open = false;
	}
	stdio_sink_end(stdio->sink, on_sink_ended, stdio);
}

static void close_stdin(struct stdio *stdio)
{
	cleanup_close(&stdio->stdin_read);
	cleanup_close(&stdio->stdin_keep);
	stdio->stdin_read = stdio->stdin_keep = -1;
}

static void on_output_taken(void *ctx)
{
	struct stream *stream = ctx;
	struct stdio *stdio = stream->stdio;

	stream->done = true;
	if (ev_is_active(&stdio->look) && !output_flows(stdio))
		end_output(stdio);
}

static void on_stream_done(void *ctx, const struct error *err)
{
	struct stream *stream = ctx;
	struct stdio *stdio = stream->stdio;

	if (err)
		log_debug("stream was cut off port=%u: %s", stream->port, err->text);
	if (stream == &stdio->streams[STREAM_IN])
		close_stdin(stdio);
	else if (stream->hold)
		fifo_hold_end(stream->hold, on_output_taken, stream);
	else
		on_output_taken(stream);
}

/* Takes @fd over; -1: it is attached later. */
static int open_stream(struct stdio *stdio, int which, int fd, struct error *err)
{
	struct stream *stream = &stdio->streams[which];

	return vsock_stream_open(stdio->vsock, VSOCK_PORT_STREAMS,
	                         which == STREAM_IN ? VSOCK_READ : VSOCK_WRITE, fd,
	                         stdio->config->stdio_open_timeout_ms, on_stream_open,
	                         on_stream_done, stream, &stream->vsock, err);
}

static int open_output(struct stdio *stdio, int which, int fd, struct error *err)
{
	struct stream *stream = &stdio->streams[which];

	if (stdio_sink_is_fifo(stdio->sink))
		stream->hold = fifo_hold_create(stdio->loop, fcntl(fd, F_DUPFD_CLOEXEC, 0));
	return open_stream(stdio, which, fd, err);
}

static int open_streams(struct stdio *stdio, struct error *err)
{
	int out = stdio_sink_take_out(stdio->sink);
	int err_fd = stdio_sink_take_err(stdio->sink);
	int r = 0;

	if (stdio->has_stdin)
		r = open_stream(stdio, STREAM_IN, -1, err);
	if (r == 0 && out >= 0)
		r = open_output(stdio, STREAM_OUT, take_fd(&out), err);
	if (r == 0 && err_fd >= 0)
		r = open_output(stdio, STREAM_ERR, take_fd(&err_fd), err);
	cleanup_close(&out);
	cleanup_close(&err_fd);
	return r;
}

static void on_sink_open(void *ctx, const struct error *failure)
{
	struct stdio *stdio = ctx;
	struct error err;
	bool any = false;

	if (failure) {
		end_open(stdio, failure);
		return;
	}
	if (open_streams(stdio, &err) < 0) {
		end_open(stdio, &err);
		return;
	}
	for (int i = 0; i < STREAMS; i++)
		any |= stdio->streams[i].vsock != NULL;
	if (!any)
		end_open(stdio, NULL);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events);

static struct stdio *stdio_new(struct ev_loop *loop, done_fn *done, void *ctx)
{
	struct stdio *stdio = mem_new(struct stdio);

	stdio->loop = loop;
	stdio->stdin_read = stdio->stdin_keep = -1;
	stdio->on_open = done;
	stdio->open_ctx = ctx;
	for (int i = 0; i < STREAMS; i++)
		stdio->streams[i].stdio = stdio;
	ev_timer_init(&stdio->look, on_look, PROGRESS_LOOK_S, PROGRESS_LOOK_S);
	stdio->look.data = stdio;
	return stdio;
}

int stdio_open(struct ev_loop *loop, struct vsock *vsock, const struct stdio_config *config,
               done_fn *done, void *ctx, struct stdio **out, struct error *err)
{
	autodestroy(stdio) struct stdio *stdio = stdio_new(loop, done, ctx);
	int r;

	stdio->config = config->config;
	stdio->vsock = vsock;
	stdio->has_stdin = *config->in != '\0';
	r = stdio_sink_open(loop, config, on_sink_open, stdio, &stdio->sink, err);
	if (r == 0)
		*out = take_ptr(&stdio);
	return r;
}

const struct stdio_ports *stdio_ports(const struct stdio *stdio)
{
	return &stdio->ports;
}

static int open_fifo(const char *path, int flags, int *out, struct error *err)
{
	autoclose int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open '%s' for input", path);
	if (!S_ISFIFO(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "open '%s' for input: it is no FIFO",
		                 path);
	*out = take_fd(&fd);
	return 0;
}

int stdio_open_stdin(struct stdio *stdio, const char *path, struct error *err)
{
	struct stdio_uri uri;
	int r;

	if (!stdio->streams[STREAM_IN].vsock)
		return 0;
	r = stdio_uri_parse(path, &uri, err);
	if (r == 0 && uri.kind != STDIO_FIFO)
		r = error_set(err, ERROR_INVALID_ARGUMENT, "stdin '%s' is no FIFO", path);
	if (r == 0)
		r = open_fifo(uri.path, O_RDONLY, &stdio->stdin_read, err);
	if (r == 0)
		r = open_fifo(uri.path, O_WRONLY, &stdio->stdin_keep, err);
	stdio_uri_fini(&uri);
	return r;
}

int stdio_start(struct stdio *stdio, struct error *err)
{
	if (stdio->stdin_read < 0)
		return 0;
	return vsock_stream_attach(stdio->streams[STREAM_IN].vsock, take_fd(&stdio->stdin_read),
	                           err);
}

void stdio_close_stdin(struct stdio *stdio)
{
	cleanup_close(&stdio->stdin_keep);
	stdio->stdin_keep = -1;
}

static void on_moved(void *ctx, uint64_t bytes, const struct error *err)
{
	struct stream *stream = ctx;

	stream->asked = false;
	if (!err && bytes != stream->moved)
		stream->stdio->last_progress = ev_now(stream->stdio->loop);
	if (!err)
		stream->moved = bytes;
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct stdio *stdio = timer->data;
	ev_tstamp now = ev_now(loop);

	if (now - stdio->last_progress >= stdio->config->stdio_stall_timeout_ms / 1e3 ||
	    now - stdio->drain_began >= stdio->config->stdio_drain_timeout_ms / 1e3) {
		log_warn("output that nobody reads is dropped");
		end_output(stdio);
		return;
	}
	for (int i = STREAM_OUT; i < STREAMS; i++) {
		struct stream *stream = &stdio->streams[i];

		if (stream->open && !stream->done && !stream->asked)
			stream->asked =
				vsock_stream_moved(stream->vsock, on_moved, stream, NULL) == 0;
	}
}

void stdio_drain(struct stdio *stdio, void (*done)(void *ctx), void *ctx)
{
	assert(!stdio->on_drained);
	stdio->on_drained = done;
	stdio->drain_ctx = ctx;
	if (!output_flows(stdio)) {
		end_output(stdio);
		return;
	}
	ev_now_update(stdio->loop);
	stdio->drain_began = stdio->last_progress = ev_now(stdio->loop);
	ev_timer_again(stdio->loop, &stdio->look);
}

void stdio_destroy(struct stdio *stdio)
{
	if (!stdio)
		return;
	ev_timer_stop(stdio->loop, &stdio->look);
	for (int i = 0; i < STREAMS; i++) {
		vsock_stream_destroy(stdio->streams[i].vsock);
		fifo_hold_destroy(stdio->streams[i].hold);
	}
	stdio_sink_destroy(stdio->sink);
	close_stdin(stdio);
	free(stdio);
}
