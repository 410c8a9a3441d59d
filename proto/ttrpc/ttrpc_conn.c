#include "proto/ttrpc/ttrpc_conn.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/monotonic.h"

/*
 * Every end of a connection is reported by the reader, from the loop: an end found while writing
 * shuts the socket down, and the reader then meets the end of file, after it has delivered what the
 * peer had still sent. A destroy from a callback is finished by the reader when the callback has
 * returned, because frame payloads point into its buffer.
 */

#define READ_CHUNK (32 << 10)

struct ttrpc_conn {
	struct ev_loop *loop;
	const struct ttrpc_conn_ops *ops;
	void *ctx;
	int fd;
	ev_io reader;
	ev_io writer;
	struct buf in;
	struct buf out;
	struct error *why; /* what ended it, if not the peer's going */
	bool shut;         /* nothing more is sent */
	bool in_callback;
	bool destroyed;
};

static void conn_free(struct ttrpc_conn *conn)
{
	buf_fini(&conn->in);
	buf_fini(&conn->out);
	free(conn->why);
	free(conn);
}

void ttrpc_conn_destroy(struct ttrpc_conn *conn)
{
	if (!conn)
		return;
	ev_io_stop(conn->loop, &conn->reader);
	ev_io_stop(conn->loop, &conn->writer);
	close(conn->fd);
	conn->destroyed = true;
	if (!conn->in_callback)
		conn_free(conn);
}

/* The end of sending; the reader finds the end of file and reports it. */
static void conn_shut(struct ttrpc_conn *conn)
{
	conn->shut = true;
	buf_fini(&conn->out);
	ev_io_stop(conn->loop, &conn->writer);
	ev_io_start(conn->loop, &conn->reader);
	shutdown(conn->fd, SHUT_RDWR);
}

void ttrpc_conn_abort(struct ttrpc_conn *conn, const struct error *why)
{
	if (conn->shut)
		return;
	conn->why = mem_dup(why, sizeof(*why));
	conn_shut(conn);
}

static bool peer_gone(int cause)
{
	return cause == EPIPE || cause == ECONNRESET;
}

/* Writes what the socket takes now. */
static void conn_write(struct ttrpc_conn *conn)
{
	struct error err;
	ssize_t n;

	while (conn->out.len) {
		n = send(conn->fd, buf_data(&conn->out), conn->out.len,
		         MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			if (!peer_gone(errno)) {
				error_errno(&err, "cannot send to a ttrpc peer");
				conn->why = mem_dup(&err, sizeof(err));
			}
			conn_shut(conn);
			return;
		}
		buf_consume(&conn->out, n);
	}
	buf_fini(&conn->out);
}

/* Which of the socket's events matter now. */
static void conn_watch(struct ttrpc_conn *conn)
{
	size_t limit = conn->ops->read_below;

	if (conn->shut)
		return;
	if (conn->out.len)
		ev_io_start(conn->loop, &conn->writer);
	else
		ev_io_stop(conn->loop, &conn->writer);
	if (limit && conn->out.len > limit)
		ev_io_stop(conn->loop, &conn->reader);
	else
		ev_io_start(conn->loop, &conn->reader);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct ttrpc_conn *conn = watcher->data;

	conn_write(conn);
	conn_watch(conn);
}

static void conn_close(struct ttrpc_conn *conn, const struct error *err)
{
	ev_io_stop(conn->loop, &conn->reader);
	ev_io_stop(conn->loop, &conn->writer);
	conn->shut = true;
	conn->ops->on_close(conn->ctx, conn->why ? conn->why : err);
}

/* Hands on every whole frame in the buffer. */
static void conn_deliver(struct ttrpc_conn *conn)
{
	struct ttrpc_frame frame;
	struct error err;

	while (!conn->destroyed && !conn->why) {
		long used = ttrpc_frame_read((const uint8_t *)buf_data(&conn->in), conn->in.len,
		                             &frame, &err);

		if (used == 0)
			break;
		if (used < 0) {
			conn_close(conn, &err);
			break;
		}
		conn->ops->on_frame(conn->ctx, &frame);
		buf_consume(&conn->in, used);
	}
	if (!conn->in.len)
		buf_fini(&conn->in);
}

static void conn_read(struct ttrpc_conn *conn)
{
	size_t room = buf_room(&conn->in), chunk = room < READ_CHUNK ? room : READ_CHUNK;
	struct error err;
	ssize_t n;

	if (conn->why) { /* shut down here: what the peer had sent does not matter any more */
		conn_close(conn, NULL);
		return;
	}
	n = recv(conn->fd, buf_reserve(&conn->in, chunk), chunk, MSG_DONTWAIT);
	if (n > 0) {
		buf_added(&conn->in, n);
		conn_deliver(conn);
	} else if (n == 0 || peer_gone(errno)) {
		conn_close(conn, NULL);
	} else if (errno != EAGAIN && errno != EINTR) {
		error_errno(&err, "cannot receive from a ttrpc peer");
		conn_close(conn, &err);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct ttrpc_conn *conn = watcher->data;

	conn->in_callback = true;
	conn_read(conn);
	conn->in_callback = false;
	if (conn->destroyed)
		conn_free(conn);
}

struct ttrpc_conn *ttrpc_conn_create(struct ev_loop *loop, int fd, const struct ttrpc_conn_ops *ops,
                                     void *ctx)
{
	struct ttrpc_conn *conn = mem_new(struct ttrpc_conn);

	*conn = (struct ttrpc_conn){
		.loop = loop,
		.ops = ops,
		.ctx = ctx,
		.fd = fd,
		.in = BUF_INIT(TTRPC_HEADER_SIZE + TTRPC_PAYLOAD_MAX),
		.out = BUF_INIT(TTRPC_QUEUE_MAX),
	};
	ev_io_init(&conn->reader, on_readable, fd, EV_READ);
	ev_io_init(&conn->writer, on_writable, fd, EV_WRITE);
	ev_set_priority(&conn->reader, EV_MAXPRI);
	ev_set_priority(&conn->writer, EV_MAXPRI);
	conn->reader.data = conn->writer.data = conn;
	ev_io_start(loop, &conn->reader);
	return conn;
}

int ttrpc_conn_send(struct ttrpc_conn *conn, uint32_t stream, enum ttrpc_frame_type type,
                    const ProtobufCMessage *message, struct error *err)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	struct ttrpc_frame frame = { .stream = stream, .type = type };
	uint8_t *to;

	if (conn->shut)
		return error_set(err, ERROR_UNAVAILABLE, "the ttrpc peer has gone");
	if (len > TTRPC_PAYLOAD_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "a message of %zu bytes is too long for ttrpc (at most %d)", len,
		                 TTRPC_PAYLOAD_MAX);
	to = buf_reserve(&conn->out, TTRPC_HEADER_SIZE + len);
	if (!to)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "the ttrpc peer does not take what is sent, %zu bytes wait",
		                 conn->out.len);
	frame.len = (uint32_t)len;
	ttrpc_header_write(to, &frame);
	protobuf_c_message_pack(message, to + TTRPC_HEADER_SIZE);
	buf_added(&conn->out, TTRPC_HEADER_SIZE + len);
	conn_write(conn);
	conn_watch(conn);
	return 0;
}

bool ttrpc_conn_flush(struct ttrpc_conn *conn, int64_t deadline_ms)
{
	struct pollfd wait = { .fd = conn->fd, .events = POLLOUT };

	for (;;) {
		int64_t left = deadline_ms - monotonic_ms();

		conn_write(conn);
		conn_watch(conn);
		if (!conn->out.len || left <= 0)
			return !conn->out.len;
		poll(&wait, 1, (int)left);
	}
}
