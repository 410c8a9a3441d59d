#include "shim/stdio/stdio_sink.h"

#include <ev.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/stdio/logger.h"
#include "shim/stdio/stdio_config.h"
#include "shim/stdio/stdio_uri.h"

struct stdio_sink {
	struct ev_loop *loop;
	int out;
	int err;
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
static int open_fifo(const char *path, int *out, struct error *err)
{
	autoclose int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open '%s' for output", path);
	if (!S_ISFIFO(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "open '%s' for output: it is no FIFO",
		                 path);
	*out = take_fd(&fd);
	return 0;
}

static int open_output(const struct stdio_uri *uri, int *out, struct error *err)
{
	if (uri->kind == STDIO_NONE)
		return 0;
	if (uri->kind == STDIO_FIFO)
		return open_fifo(uri->path, out, err);
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "output to '%s': what is no FIFO takes stdout and stderr, not one of them",
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
	sink->out = logger_take_out(sink->logger);
	if (!config->terminal)
		sink->err = logger_take_err(sink->logger);
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
	sink->out = sink->err = -1;
	sink->done = done;
	sink->ctx = ctx;
	ev_timer_init(&sink->opened, on_opened, 0, 0);
	sink->opened.data = sink;
	r = open_both(sink, config, err);
	if (r == 0)
		*out = take_ptr(&sink);
	return r;
}

int stdio_sink_take_out(struct stdio_sink *sink)
{
	return take_fd(&sink->out);
}

int stdio_sink_take_err(struct stdio_sink *sink)
{
	return take_fd(&sink->err);
}

bool stdio_sink_is_fifo(const struct stdio_sink *sink)
{
	return !sink->logger;
}

void stdio_sink_end(struct stdio_sink *sink, void (*done)(void *ctx), void *ctx)
{
	if (sink->logger)
		logger_end(sink->logger, done, ctx);
	else
		done(ctx);
}

void stdio_sink_destroy(struct stdio_sink *sink)
{
	if (!sink)
		return;
	ev_timer_stop(sink->loop, &sink->opened);
	logger_destroy(sink->logger);
	cleanup_close(&sink->out);
	cleanup_close(&sink->err);
	free(sink);
}
