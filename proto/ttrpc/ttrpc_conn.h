/*
 * One ttrpc connection: whole frames in, whole frames out, without blocking.
 *
 * Frames that the peer does not take yet are queued, TTRPC_QUEUE_MAX bytes at most. Memory for a
 * frame is taken as its bytes arrive, not as its header announces them; a connection at rest holds
 * none. The ends of a connection, ttrpc_client and ttrpc_server, give the frames their meaning.
 */
#ifndef PROTO_TTRPC_CONN_H
#define PROTO_TTRPC_CONN_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/ttrpc/ttrpc_frame.h"

struct ev_loop;
struct ttrpc_conn;

/* Room for one largest frame behind another. */
#define TTRPC_QUEUE_MAX (2UL * (TTRPC_HEADER_SIZE + TTRPC_PAYLOAD_MAX))

/* Both are called from the loop only and may destroy the connection. */
struct ttrpc_conn_ops {
	void (*on_frame)(void *ctx, const struct ttrpc_frame *frame);
	/* The last call: @err is NULL when the peer has gone, else what was wrong (a broken frame,
	 * the socket, ttrpc_conn_abort()). */
	done_fn *on_close;
	/* Do not read while more than this is queued: for the end that answers. The end that asks
	 * reads always (0), otherwise two full queues could wait for each other. */
	size_t read_below;
};

/* Takes ownership of @fd, a connected stream socket. @ops outlives the connection. */
struct ttrpc_conn *ttrpc_conn_create(struct ev_loop *loop, int fd, const struct ttrpc_conn_ops *ops,
                                     void *ctx);
void ttrpc_conn_destroy(
	struct ttrpc_conn *conn); /* NULL is fine; what is queued is dropped, no callback */

/*
 * Queues a frame with @message as payload, and writes what can be written at once.
 * ERROR_RESOURCE_EXHAUSTED: the message is too long, or the queue is full; ERROR_UNAVAILABLE: the
 * peer has gone (on_close comes from the loop, if it has not yet).
 */
int ttrpc_conn_send(struct ttrpc_conn *conn, uint32_t stream, enum ttrpc_frame_type type,
                    const ProtobufCMessage *message, struct error *err);

/* Ends the connection: on_close(@why) comes from the loop. */
void ttrpc_conn_abort(struct ttrpc_conn *conn, const struct error *why);

/* Writes out the queue, waiting until @deadline_ms (of monotonic_ms()) at most; true when it is
 * empty. */
bool ttrpc_conn_flush(struct ttrpc_conn *conn, int64_t deadline_ms);

#endif
