#include "shim/stdio/stdio.h"

#include <assert.h>
#include <ev.h>
#include <inttypes.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/vsock.h"
#include "proto/limits.h"
#include "proto/vsock_ports.h"
#include "shim/config/config.h"
#include "shim/stdio/call_writer.h"
#include "shim/stdio/fifo.h"
#include "shim/stdio/output.h"
#include "shim/stdio/stdio_sink.h"
#include "shim/stdio/stdio_uri.h"

enum {
	STREAM_IN,
	STREAM_OUT,
	STREAM_ERR,
	STREAMS,
};

_Static_assert(STREAMS == LIMIT_STREAMS_OF_PROCESS, "as proto/limits.h counts them");
_Static_assert(VSOCK_STREAMS_MAX > LIMIT_STREAMS, "beside the agent's connection");

struct stream {
	struct stdio *stdio;
	struct output *output; /* of STREAM_OUT and STREAM_ERR */
	uint32_t port;
	bool wanted; /* false: there is no such stream */
	bool open;
};

struct stdio {
	struct ev_loop *loop;
	const struct config *config;
	struct stream streams[STREAMS];
	struct stdio_ports ports;
	struct stdio_sink *sink;
	int stdin_read; /* -1 once it is the device's, or the writer's */
	int stdin_keep; /* a write end, so that a FIFO without a writer is not at its end */

	struct guest_io io; /* no calls: by streams */
	struct vsock *vsock;
	struct vsock_stream *in;
	struct call_writer *writer; /* the same by calls; NULL: not started */
	done_fn *on_open;           /* NULL once called */
	void *open_ctx;

	unsigned int waits; /* for outputs */
	void (*on_waited)(void *ctx);
	void *waited_ctx;
	void (*on_drained)(void *ctx);
	void *drain_ctx;
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
	if (stdio->io.calls) /* all at once, from within open_streams() */
		return;
	stream->open = true;
	stream->port = host_port;
	for (int i = 0; i < STREAMS; i++)
		if (stdio->streams[i].wanted && !stdio->streams[i].open)
			return;
	stdio->ports = (struct stdio_ports){
		.in = stdio->streams[STREAM_IN].port,
		.out = stdio->streams[STREAM_OUT].port,
		.err = stdio->streams[STREAM_ERR].port,
	};
	end_open(stdio, NULL);
}

static void close_stdin(struct stdio *stdio)
{
	cleanup_close(&stdio->stdin_read);
	cleanup_close(&stdio->stdin_keep);
	stdio->stdin_read = stdio->stdin_keep = -1;
}

static void on_stdin_done(void *ctx, const struct error *err)
{
	struct stream *stream = ctx;

	if (err)
		log_debug("stdin was cut off port=%u: %s", stream->port, err->text);
	close_stdin(stream->stdio);
}

/* Its descriptor follows later. */
static int open_input(struct stdio *stdio, struct error *err)
{
	struct stream *stream = &stdio->streams[STREAM_IN];

	if (!stream->wanted || stdio->io.calls)
		return 0;
	return vsock_stream_open(stdio->vsock, VSOCK_PORT_STREAMS, VSOCK_READ, -1,
	                         stdio->config->stdio_open_timeout_ms, on_stream_open,
	                         on_stdin_done, stream, &stdio->in, err);
}

static int open_output(struct stdio *stdio, int which, struct sink_end end, struct error *err)
{
	static const char *const names[] = { [STREAM_OUT] = "stdout", [STREAM_ERR] = "stderr" };
	struct stream *stream = &stdio->streams[which];
	const struct output_config config = {
		.name = names[which],
		.write_fd = end.write_fd,
		.read_fd = end.read_fd,
		.timeout_ms = stdio->config->stdio_open_timeout_ms,
		.io = stdio->io,
		.is_err = which == STREAM_ERR,
		.beside = stdio_sink_is_one(stdio->sink) ? stdio->streams[STREAM_OUT].output : NULL,
	};

	if (end.write_fd < 0)
		return 0;
	stream->wanted = true;
	return output_open(stdio->loop, stdio->vsock, &config, on_stream_open, stream,
	                   &stream->output, err);
}

static int open_streams(struct stdio *stdio, struct error *err)
{
	int r = open_input(stdio, err);

	if (r == 0)
		r = open_output(stdio, STREAM_OUT, stdio_sink_take_out(stdio->sink), err);
	if (r == 0)
		r = open_output(stdio, STREAM_ERR, stdio_sink_take_err(stdio->sink), err);
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
		any |= stdio->streams[i].wanted;
	if (!any || stdio->io.calls)
		end_open(stdio, NULL);
}

static struct stdio *stdio_new(struct ev_loop *loop, done_fn *done, void *ctx)
{
	struct stdio *stdio = mem_new(struct stdio);

	stdio->loop = loop;
	stdio->stdin_read = stdio->stdin_keep = -1;
	stdio->on_open = done;
	stdio->open_ctx = ctx;
	for (int i = 0; i < STREAMS; i++)
		stdio->streams[i].stdio = stdio;
	return stdio;
}

int stdio_open(struct ev_loop *loop, struct vsock *vsock, const struct stdio_config *config,
               done_fn *done, void *ctx, struct stdio **out, struct error *err)
{
	autodestroy(stdio) struct stdio *stdio = stdio_new(loop, done, ctx);
	int r;

	stdio->config = config->config;
	stdio->io = config->io;
	stdio->vsock = vsock;
	stdio->streams[STREAM_IN].wanted = *config->in != '\0';
	r = stdio_sink_open(loop, config, on_sink_open, stdio, &stdio->sink, err);
	if (r == 0)
		*out = take_ptr(&stdio);
	return r;
}

const struct stdio_ports *stdio_ports(const struct stdio *stdio)
{
	return &stdio->ports;
}

int stdio_open_stdin(struct stdio *stdio, const char *path, struct error *err)
{
	struct stdio_uri uri;
	int r;

	if (!stdio->streams[STREAM_IN].wanted)
		return 0;
	r = stdio_uri_parse(path, &uri, err);
	if (r == 0 && uri.kind != STDIO_FIFO)
		r = error_set(err, ERROR_INVALID_ARGUMENT, "invalid stdin \"%s\": not a FIFO",
		              path);
	if (r == 0)
		r = fifo_open(uri.path, "input", &stdio->stdin_read, &stdio->stdin_keep, err);
	stdio_uri_fini(&uri);
	return r;
}

int stdio_start(struct stdio *stdio, struct error *err)
{
	if (stdio->stdin_read < 0)
		return 0;
	if (stdio->io.calls) {
		stdio->writer =
			call_writer_start(stdio->loop, &stdio->io, take_fd(&stdio->stdin_read),
		                          on_stdin_done, &stdio->streams[STREAM_IN]);
		return 0;
	}
	return vsock_stream_attach(stdio->in, take_fd(&stdio->stdin_read), err);
}

void stdio_close_stdin(struct stdio *stdio)
{
	cleanup_close(&stdio->stdin_keep);
	stdio->stdin_keep = -1;
}

/* Its last act may be the callback, which may free the stdio. */
static void on_output_waited(void *ctx)
{
	struct stdio *stdio = ctx;

	if (--stdio->waits == 0)
		stdio->on_waited(stdio->waited_ctx);
}

/* Waits for both outputs, as @wait says and for so many bytes of each. */
static void wait_for_outputs(struct stdio *stdio, struct output_wait wait,
                             const struct stdio_written *written, void (*done)(void *ctx),
                             void *ctx)
{
	const uint64_t bytes[] = { [STREAM_OUT] = written->out, [STREAM_ERR] = written->err };

	stdio->waits = 1; /* until both have begun */
	stdio->on_waited = done;
	stdio->waited_ctx = ctx;
	for (int i = STREAM_OUT; i < STREAMS; i++) {
		struct output *output = stdio->streams[i].output;

		wait.written = bytes[i];
		if (output) {
			stdio->waits++;
			output_wait(output, &wait, on_output_waited, stdio);
		}
	}
	on_output_waited(stdio);
}

bool stdio_is_by_calls(const struct stdio *stdio)
{
	return stdio->io.calls;
}

void stdio_read_to_end(struct stdio *stdio, void (*done)(void *ctx), void *ctx)
{
	stdio->waits = 1; /* until both have begun */
	stdio->on_waited = done;
	stdio->waited_ctx = ctx;
	for (int i = STREAM_OUT; i < STREAMS; i++) {
		struct output *output = stdio->streams[i].output;

		if (output) {
			stdio->waits++;
			output_start(output);
			output_when_ended(output, on_output_waited, stdio);
		}
	}
	on_output_waited(stdio);
}

void stdio_await_read(struct stdio *stdio, const struct stdio_written *written,
                      void (*done)(void *ctx), void *ctx)
{
	const struct output_wait wait = {
		.patience_ms = stdio->config->stdio_exit_timeout_ms,
		.guest_ms = stdio->config->stdio_stall_timeout_ms,
	};

	wait_for_outputs(stdio, wait, written, done, ctx);
}

/* Its last act is the callback, which may free the stdio. */
static void on_sink_ended(void *ctx)
{
	struct stdio *stdio = ctx;
	void (*done)(void *ctx) = stdio->on_drained;

	stdio->on_drained = NULL;
	done(stdio->drain_ctx);
}

/* Output has been read or is given up: who takes it sees its end. May free the stdio. */
static void on_drained(void *ctx)
{
	struct stdio *stdio = ctx;
	uint64_t dropped = 0;

	for (int i = STREAM_OUT; i < STREAMS; i++) {
		struct output *output = take_ptr(&stdio->streams[i].output);

		dropped += output ? output_unread(output) : 0;
		output_destroy(output);
	}
	if (dropped)
		log_warn("output that nobody reads is dropped bytes=%" PRIu64, dropped);
	stdio_sink_end(stdio->sink, on_sink_ended, stdio);
}

void stdio_drain(struct stdio *stdio, void (*done)(void *ctx), void *ctx)
{
	static const struct stdio_written all = { STDIO_TO_THE_END, STDIO_TO_THE_END };
	const struct output_wait wait = {
		.patience_ms = stdio->config->stdio_stall_timeout_ms,
		.guest_ms = stdio->config->stdio_stall_timeout_ms,
		.limit_ms = stdio->config->stdio_drain_timeout_ms,
		.last = true,
	};

	assert(!stdio->on_drained);
	stdio->on_drained = done;
	stdio->drain_ctx = ctx;
	wait_for_outputs(stdio, wait, &all, on_drained, stdio);
}

void stdio_destroy(struct stdio *stdio)
{
	if (!stdio)
		return;
	vsock_stream_destroy(stdio->in);
	call_writer_destroy(stdio->writer);
	output_destroy(stdio->streams[STREAM_OUT].output);
	output_destroy(stdio->streams[STREAM_ERR].output);
	stdio_sink_destroy(stdio->sink);
	close_stdin(stdio);
	free(stdio);
}
