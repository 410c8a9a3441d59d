#include "agent/pod/pump.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/mem.h"

/*
 * Bytes go through a buffer and not by splice(2): into a vsock socket that would send one packet a
 * page, where one of 64 KiB costs the same. Only what @to does not take stays in memory.
 */

/* A read from a full pipe wakes its writer, which takes the CPU: the larger the chunk, the less
 * often. Against 64 KiB this and the vsock socket's larger buffer halve what a byte costs. */
#define CHUNK (256 << 10)
#define TURNS 2 /* chunks in a row, then others get their turn */

struct pump {
	struct ev_loop *loop;
	int from;
	int to;
	ev_io reader; /* of @from; at the end, of a socket @to: its peer's close */
	ev_io writer; /* of @to, while it is full */
	struct buf rest;
	uint64_t read;  /* from @from */
	bool finishing; /* the first EAGAIN of @from is its end */
	pump_ended_fn *ended;
	void *ctx;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void pump_stop(struct pump *pump)
{
	ev_io_stop(pump->loop, &pump->reader);
	ev_io_stop(pump->loop, &pump->writer);
	close_fd(&pump->from);
	close_fd(&pump->to);
	buf_fini(&pump->rest);
}

static void pump_end(struct pump *pump)
{
	pump_stop(pump);
	pump->ended(pump->ctx);
}

/* The peer has nothing to say on an output stream: anything but "not yet" is its end. */
static void on_peer(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct pump *pump = watcher->data;
	char byte;
	ssize_t n = recv(pump->to, &byte, sizeof(byte), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		pump_end(pump);
}

/* @from has ended and all is written. */
static void pump_close(struct pump *pump)
{
	ev_io_stop(pump->loop, &pump->reader);
	close_fd(&pump->from);
	if (shutdown(pump->to, SHUT_WR) < 0) { /* not a socket, or one that is gone */
		pump_end(pump);
		return;
	}
	ev_io_init(&pump->reader, on_peer, pump->to, EV_READ);
	ev_io_start(pump->loop, &pump->reader);
}

/* Returns the bytes that @to took; -1 when it takes none any more. */
static ssize_t write_now(const struct pump *pump, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(pump->to, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? (ssize_t)done : -1;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

enum step {
	STEP_MORE,
	STEP_WAIT,
	STEP_ENDED
};

static enum step copy_chunk(struct pump *pump)
{
	char chunk[CHUNK];
	ssize_t n = read(pump->from, chunk, sizeof(chunk));
	ssize_t written;

	if (n < 0 && errno == EINTR)
		return STEP_MORE;
	if (n < 0 && errno == EAGAIN && !pump->finishing)
		return STEP_WAIT;
	if (n <= 0) { /* EIO: the last process has closed the terminal */
		pump_close(pump);
		return STEP_ENDED;
	}
	pump->read += (uint64_t)n;
	written = write_now(pump, chunk, n);
	if (written < 0) {
		pump_end(pump);
		return STEP_ENDED;
	}
	if (written == n)
		return STEP_MORE;
	buf_append(&pump->rest, chunk + written, n - written);
	ev_io_stop(pump->loop, &pump->reader);
	ev_io_start(pump->loop, &pump->writer);
	return STEP_WAIT;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	for (int i = 0; i < TURNS; i++)
		if (copy_chunk(watcher->data) != STEP_MORE)
			break;
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct pump *pump = watcher->data;
	ssize_t n = write_now(pump, buf_data(&pump->rest), pump->rest.len);

	if (n < 0) {
		pump_end(pump);
		return;
	}
	buf_consume(&pump->rest, n);
	if (pump->rest.len)
		return;
	buf_fini(&pump->rest);
	ev_io_stop(loop, &pump->writer);
	ev_io_start(loop, &pump->reader);
	if (pump->finishing)
		ev_feed_event(loop, &pump->reader, EV_READ);
}

struct pump *pump_create(struct ev_loop *loop, int from, int to, pump_ended_fn *ended, void *ctx)
{
	struct pump *pump = mem_new(struct pump);

	*pump = (struct pump){
		.loop = loop,
		.from = from,
		.to = to,
		.rest = BUF_INIT(CHUNK),
		.ended = ended,
		.ctx = ctx,
	};
	file_set_nonblocking(from);
	file_set_nonblocking(to);
	ev_io_init(&pump->reader, on_readable, from, EV_READ);
	ev_io_init(&pump->writer, on_writable, to, EV_WRITE);
	pump->reader.data = pump->writer.data = pump;
	ev_io_start(loop, &pump->reader);
	return pump;
}

void pump_finish(struct pump *pump)
{
	pump->finishing = true;
	if (ev_is_active(&pump->reader))
		ev_feed_event(pump->loop, &pump->reader, EV_READ);
}

uint64_t pump_arrived(const struct pump *pump)
{
	int waiting = 0;

	if (pump->from >= 0)
		ioctl(pump->from, FIONREAD, &waiting);
	return pump->read + (uint64_t)waiting;
}

void pump_destroy(struct pump *pump)
{
	if (!pump)
		return;
	pump_stop(pump);
	free(pump);
}
