#include "shim/stdio/stdio_sink.h"

#include <ev.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/stdio/fifo.h"
#include "shim/stdio/logger.h"
#include "shim/stdio/stdio_config.h"
#include "shim/stdio/stdio_uri.h"

struct stdio_sink {
	struct ev_loop *loop;
	struct sink_end out;
	struct sink_end err;
	bool one;              /* FIFO for both */
	struct logger *logger; /* NULL: FIFOs, or nothing */
	ev_timer opened;       /* there is nothing to wait for */
	done_fn *done;
	void *ctx;
};

static void on_opened(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct stdio_sink *sink = timer->data;

	sink->done(sink->ctx, NULL);
}

static void on_logger_ready(void *ctx, const struct error *err)
{
	struct stdio_sink *sink = ctx;

	sink->done(sink->ctx, err);
}

/* Both ends of a FIFO are kept, so that opening needs no reader, and a reader that goes and comes
 * back (containerd's restart) loses nothing and breaks nothing. */
static int open_output(const struct stdio_uri *uri, struct sink_end *out, struct error *err)
{
	if (uri->kind == STDIO_NONE)
		return 0;
	if (uri->kind == STDIO_FIFO)
		return fifo_open(uri->path, "output", &out->read_fd, &out->write_fd, err);
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "invalid output \"%s\": only a FIFO can take stdout or stderr alone",
	                 uri->path);
}

static int open_logger(struct stdio_sink *sink, const struct stdio_config *config,
                       const struct stdio_uri *uri, struct error *err)
{
	const struct logger_of of = { .id = config->id,
		                      .ns = config->ns,
		                      .config = config->config };
	int r = logger_start(sink->loop, uri, &of, on_logger_ready, sink, &sink->logger, err);

	if (r < 0)
		return r;
	sink->out.write_fd = logger_take_out(sink->logger);
	if (!config->terminal)
		sink->err.write_fd = logger_take_err(sink->logger);
	return 0;
}

static int open_both(struct stdio_sink *sink, const struct stdio_config *config, struct error *err)
{
	struct stdio_uri out = { 0 }, err_uri = { 0 };
	int r = stdio_uri_parse(config->out, &out, err);

	if (r == 0 && (out.kind == STDIO_FILE || out.kind == STDIO_LOGGER)) {
		r = open_logger(sink, config, &out, err);
	} else if (r == 0) {
		r = open_output(&out, &sink->out, err);
		if (r == 0 && !config->terminal)
			r = stdio_uri_parse(config->err, &err_uri, err);
		if (r == 0)
			r = open_output(&err_uri, &sink->err, err);
		sink->one = sink->out.read_fd >= 0 && sink->err.read_fd >= 0 && out.path &&
		            err_uri.path && strcmp(out.path, err_uri.path) == 0;
		ev_timer_start(sink->loop, &sink->opened);
	}
	stdio_uri_fini(&out);
	stdio_uri_fini(&err_uri);
	return r;
}

int stdio_sink_open(struct ev_loop *loop, const struct stdio_config *config, done_fn *done,
                    void *ctx, struct stdio_sink **out, struct error *err)
{
	autodestroy(stdio_sink) struct stdio_sink *sink = mem_new(struct stdio_sink);
	int r;

	sink->loop = loop;
	sink->out = sink->err = (struct sink_end){ -1, -1 };
	sink->done = done;
	sink->ctx = ctx;
	ev_timer_init(&sink->opened, on_opened, 0, 0);
	sink->opened.data = sink;
	r = open_both(sink, config, err);
	if (r == 0)
		*out = take_ptr(&sink);
	return r;
}

bool stdio_sink_is_one(const struct stdio_sink *sink)
{
	return sink->one;
}

static struct sink_end take_end(struct sink_end *end)
{
	return (struct sink_end){ take_fd(&end->write_fd), take_fd(&end->read_fd) };
}

struct sink_end stdio_sink_take_out(struct stdio_sink *sink)
{
	return take_end(&sink->out);
}

struct sink_end stdio_sink_take_err(struct stdio_sink *sink)
{
	return take_end(&sink->err);
}

void stdio_sink_end(struct stdio_sink *sink, void (*done)(void *ctx), void *ctx)
{
	if (sink->logger)
		logger_end(sink->logger, done, ctx);
	else
		done(ctx);
}

static void close_end(struct sink_end *end)
{
	cleanup_close(&end->write_fd);
	cleanup_close(&end->read_fd);
}

void stdio_sink_destroy(struct stdio_sink *sink)
{
	if (!sink)
		return;
	ev_timer_stop(sink->loop, &sink->opened);
	logger_destroy(sink->logger);
	close_end(&sink->out);
	close_end(&sink->err);
	free(sink);
}
