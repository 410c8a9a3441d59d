/*
 * The reader of ttrpc frames: the bytes are read as a whole by ttrpc_frame_read(), and in pieces by
 * a connection. Both must see the same frames, and the connection ends where the stream is broken.
 */
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/ttrpc/ttrpc_conn.h"
#include "proto/ttrpc/ttrpc_frame.h"
#include "test/fuzz/fuzz.h"

#define INPUT_MAX (64 << 10) /* less than a socket holds */

/* What was seen of a stream: a sum over its frames, and whether it was broken. */
struct seen {
	unsigned long sum;
	bool broken;
	bool closed;
};

static void see(struct seen *seen, const struct ttrpc_frame *frame)
{
	seen->sum = seen->sum * 31 + frame->stream + frame->type + frame->flags + frame->len;
	for (uint32_t i = 0; i < frame->len; i++)
		seen->sum = seen->sum * 31 + frame->payload[i];
}

static void read_whole(struct seen *seen, const uint8_t *data, size_t size)
{
	struct ttrpc_frame frame;
	long used;

	while ((used = ttrpc_frame_read(data, size, &frame, NULL)) > 0) {
		if ((size_t)used > size || frame.len > TTRPC_PAYLOAD_MAX)
			abort();
		see(seen, &frame);
		data += used;
		size -= used;
	}
	seen->broken = used < 0;
}

static void on_frame(void *ctx, const struct ttrpc_frame *frame)
{
	see(ctx, frame);
}

static void on_close(void *ctx, const struct error *err)
{
	struct seen *seen = ctx;

	if (seen->closed)
		abort();
	seen->closed = true;
	seen->broken = err;
}

static void read_in_pieces(struct seen *seen, const uint8_t *data, size_t size, size_t piece)
{
	static const struct ttrpc_conn_ops ops = { .on_frame = on_frame, .on_close = on_close };
	struct ev_loop *loop = ev_loop_new(EVBACKEND_POLL);
	struct ttrpc_conn *conn;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		abort();
	conn = ttrpc_conn_create(loop, ends[0], &ops, seen);
	for (size_t at = 0; at < size && !seen->closed; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		if (send(ends[1], data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			abort();
		ev_run(loop, EVRUN_NOWAIT);
	}
	shutdown(ends[1], SHUT_WR);
	while (!seen->closed)
		ev_run(loop, EVRUN_ONCE);
	ttrpc_conn_destroy(conn);
	close(ends[1]);
	ev_loop_destroy(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = { 0 }, pieces = { 0 };

	if (size < 1 || size > INPUT_MAX)
		return 0;
	read_whole(&whole, data + 1, size - 1);
	read_in_pieces(&pieces, data + 1, size - 1, data[0] ? data[0] * 16U : 1);
	if (whole.sum != pieces.sum || whole.broken != pieces.broken)
		abort();
	return 0;
}
