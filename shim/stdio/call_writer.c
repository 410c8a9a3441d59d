#include "shim/stdio/call_writer.h"

#include <errno.h>
#include <ev.h>
#include <unistd.h>

#include "common/mem.h"

struct call_writer {
	struct ev_loop *loop;
	struct guest_io io;
	int fd;
	struct guest_call *call;
	char *piece; /* GUEST_IO_MAX */
	size_t start;
	size_t len; /* of the piece, not taken yet */
	ev_io readable;
	done_fn *on_done;
	void *ctx;
};

/* Its last act is the callback, which may destroy the writer. */
static void finish(struct call_writer *writer, const struct error *err)
{
	ev_io_stop(writer->loop, &writer->readable);
	cleanup_close(&writer->fd);
	writer->fd = -1;
	writer->on_done(writer->ctx, err);
}

static void on_closed(void *ctx, const struct error *err)
{
	struct call_writer *writer = ctx;

	writer->call = NULL;
	finish(writer, err);
}

static void close_in_guest(struct call_writer *writer)
{
	struct error err;

	if (writer->io.calls->close(writer->io.process, on_closed, writer, &writer->call, &err) < 0)
		finish(writer, &err);
}

static void send_piece(struct call_writer *writer);

static void on_written(void *ctx, size_t taken, const struct error *err)
{
	struct call_writer *writer = ctx;
	struct error own;

	writer->call = NULL;
	if (err) {
		finish(writer, err);
		return;
	}
	if (!taken || taken > writer->len) {
		error_set(&own, ERROR_INTERNAL, "the agent has taken %zu bytes of %zu", taken,
		          writer->len);
		finish(writer, &own);
		return;
	}
	writer->start += taken;
	writer->len -= taken;
	if (writer->len)
		send_piece(writer);
	else
		ev_io_start(writer->loop, &writer->readable);
}

static void send_piece(struct call_writer *writer)
{
	struct error err;

	if (writer->io.calls->write(writer->io.process, writer->piece + writer->start, writer->len,
	                            on_written, writer, &writer->call, &err) < 0)
		finish(writer, &err);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct call_writer *writer = watcher->data;
	ssize_t n = read(writer->fd, writer->piece, GUEST_IO_MAX);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	ev_io_stop(writer->loop, &writer->readable);
	if (n <= 0) { /* as the end: nothing more can be read */
		close_in_guest(writer);
		return;
	}
	writer->start = 0;
	writer->len = (size_t)n;
	send_piece(writer);
}

struct call_writer *call_writer_start(struct ev_loop *loop, const struct guest_io *io, int fd,
                                      done_fn *on_done, void *ctx)
{
	struct call_writer *writer = mem_new(struct call_writer);

	writer->loop = loop;
	writer->io = *io;
	writer->fd = fd;
	writer->piece = mem_alloc(GUEST_IO_MAX);
	writer->on_done = on_done;
	writer->ctx = ctx;
	ev_io_init(&writer->readable, on_readable, fd, EV_READ);
	writer->readable.data = writer;
	ev_io_start(loop, &writer->readable);
	return writer;
}

void call_writer_destroy(struct call_writer *writer)
{
	if (!writer)
		return;
	writer->io.calls->forget(writer->call);
	ev_io_stop(writer->loop, &writer->readable);
	cleanup_close(&writer->fd);
	free(writer->piece);
	free(writer);
}
