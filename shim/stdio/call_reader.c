#include "shim/stdio/call_reader.h"

#include <errno.h>
#include <ev.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"

/*
 * A process must not stop because nobody takes its output any more: under runc it would get
 * SIGPIPE, which upstream's calls cannot bring it. So once the descriptor has failed, what comes is
 * dropped.
 */

struct call_reader {
	struct ev_loop *loop;
	struct guest_io io;
	bool is_err;
	int fd; /* -1: it has failed, or the output has ended */
	struct guest_call *call;
	char *piece; /* GUEST_IO_MAX */
	size_t start;
	size_t len; /* of the piece, not written yet */
	struct vsock_progress progress;
	struct error failure; /* of the descriptor */
	ev_io writable;
	ev_timer ask; /* a call may fail at once: the end comes from the loop all the same */
	done_fn *on_done;
	void *ctx;
};

/* Its last act is the callback, which may destroy the reader. */
static void finish(struct call_reader *reader, const struct error *err)
{
	ev_io_stop(reader->loop, &reader->writable);
	cleanup_close(&reader->fd);
	reader->fd = -1;
	if (!err && reader->failure.code)
		err = &reader->failure;
	reader->on_done(reader->ctx, err);
}

static void drop_piece(struct call_reader *reader)
{
	reader->progress.kept += reader->len;
	reader->len = 0;
}

static void fail_descriptor(struct call_reader *reader)
{
	error_errno(&reader->failure, "cannot write");
	ev_io_stop(reader->loop, &reader->writable);
	cleanup_close(&reader->fd);
	reader->fd = -1;
	reader->progress.kept = 0;
	drop_piece(reader);
}

/* False: there is no room for the rest. */
static bool write_piece(struct call_reader *reader)
{
	while (reader->len) {
		ssize_t n = write(reader->fd, reader->piece + reader->start, reader->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0) {
			fail_descriptor(reader);
			return true;
		}
		reader->start += (size_t)n;
		reader->len -= (size_t)n;
		reader->progress.moved += (uint64_t)n;
		reader->progress.kept = reader->len;
	}
	return true;
}

static void ask_soon(struct call_reader *reader)
{
	ev_timer_start(reader->loop, &reader->ask);
}

static void pass_on(struct call_reader *reader)
{
	if (reader->fd < 0)
		drop_piece(reader);
	else if (!write_piece(reader)) {
		ev_io_start(reader->loop, &reader->writable);
		return;
	}
	ev_io_stop(reader->loop, &reader->writable);
	ask_soon(reader);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	pass_on(watcher->data);
}

/* An agent that refuses to read has nothing left to be read: it knows the process no longer. */
static void on_read(void *ctx, const void *data, size_t len, const struct error *err)
{
	struct call_reader *reader = ctx;
	struct error own;

	reader->call = NULL;
	if (err && err->code == ERROR_UNAVAILABLE) {
		finish(reader, err);
	} else if (err || !len) {
		if (err)
			log_debug("output has ended: %s", err->text);
		finish(reader, NULL);
	} else if (len > GUEST_IO_MAX) {
		error_set(&own, ERROR_INTERNAL, "the agent has sent %zu bytes, expected at most %d",
		          len, GUEST_IO_MAX);
		finish(reader, &own);
	} else {
		memcpy(reader->piece, data, len);
		reader->start = 0;
		reader->len = len;
		pass_on(reader);
	}
}

static void on_ask(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct call_reader *reader = timer->data;
	struct error err;

	if (reader->io.calls->read(reader->io.process, reader->is_err, GUEST_IO_MAX, on_read,
	                           reader, &reader->call, &err) < 0)
		finish(reader, &err);
}

struct call_reader *call_reader_create(struct ev_loop *loop,
                                       const struct call_reader_config *config, done_fn *on_done,
                                       void *ctx)
{
	struct call_reader *reader = mem_new(struct call_reader);

	reader->loop = loop;
	reader->io = config->io;
	reader->is_err = config->is_err;
	reader->fd = config->fd;
	reader->piece = mem_alloc(GUEST_IO_MAX);
	reader->on_done = on_done;
	reader->ctx = ctx;
	ev_io_init(&reader->writable, on_writable, config->fd, EV_WRITE);
	ev_timer_init(&reader->ask, on_ask, 0, 0);
	reader->writable.data = reader->ask.data = reader;
	return reader;
}

void call_reader_start(struct call_reader *reader)
{
	ask_soon(reader);
}

const struct vsock_progress *call_reader_progress(const struct call_reader *reader)
{
	return &reader->progress;
}

void call_reader_destroy(struct call_reader *reader)
{
	if (!reader)
		return;
	reader->io.calls->forget(reader->call);
	ev_io_stop(reader->loop, &reader->writable);
	ev_timer_stop(reader->loop, &reader->ask);
	cleanup_close(&reader->fd);
	free(reader->piece);
	free(reader);
}
