/*
 * ttrpc server: unary calls, dispatched by a table of services and methods.
 *
 * Many connections; many calls at once on each, answered in any order. A broken frame ends its
 * connection only. A call whose connection has gone, or whose deadline (of the request) has passed,
 * is still run to its end, and its answer is dropped.
 */
#ifndef PROTO_TTRPC_SERVER_H
#define PROTO_TTRPC_SERVER_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/limits.h"

struct ev_loop;
struct error;
struct ttrpc_server;
struct ttrpc_call; /* one request that waits for its one answer */

/* A connection beyond the first limit is closed at once. The others are of one connection: calls
 * that have not been answered, and, counted apart, those that are parked; a call beyond them is
 * answered ResourceExhausted. */
#define TTRPC_SERVER_CONNECTIONS_MAX 256
#define TTRPC_SERVER_CALLS_MAX       LIMIT_CALLS
#define TTRPC_SERVER_PARKED_MAX      LIMIT_PARKED

/* @request is freed when the call is answered: keep it as long as the call. @ctx is the server's.
 */
typedef void ttrpc_handler_fn(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx);

struct ttrpc_method {
	const char *name;
	const ProtobufCMessageDescriptor *request;
	const ProtobufCMessageDescriptor *response;
	ttrpc_handler_fn *handler;
};

struct ttrpc_service {
	const char *name;                   /* "containerd.task.v2.Task" */
	const struct ttrpc_method *methods; /* ended by a zero row */
};

struct ttrpc_server_config {
	const struct ttrpc_service *services; /* ended by a zero row; outlives the server */
	void *ctx;
	/* Optional: whether the peer of @fd, a connection just made, may call anything. One that may
	 * not is closed unread, and told to on_fault. */
	int (*admit)(int fd, struct error *err);
	/* Optional: the last connection has gone. It may destroy the server. */
	void (*on_idle)(void *ctx);
	/* Optional, to be logged: a connection was ended for what is in @err (a broken frame,
	 * answers not taken, a failing socket). A peer that just goes away is no fault. */
	void (*on_fault)(void *ctx, const struct error *err);
};

/* Takes ownership of @listen_fd, a listening stream socket (AF_UNIX or AF_VSOCK). */
int ttrpc_server_create(struct ev_loop *loop, int listen_fd,
                        const struct ttrpc_server_config *config, struct ttrpc_server **out,
                        struct error *err);
/* NULL is fine. Calls still unanswered stay valid; answering them does nothing but free them. */
void ttrpc_server_destroy(struct ttrpc_server *server);
/* Writes out what is queued on every connection, waiting at most @ms in all: the last answer before
 * an exit. */
void ttrpc_server_flush(struct ttrpc_server *server, int ms);

/* Each call is answered exactly once; the call is freed by it. An answer that is too long, or that
 * the peer's full queue has no room for, becomes ResourceExhausted. */
void ttrpc_call_reply(struct ttrpc_call *call, const ProtobufCMessage *response);
void ttrpc_call_fail(struct ttrpc_call *call,
                     const struct error *err); /* its code and text are the status */
/* A done_fn: an error fails the call; success answers an empty message of the response type. */
void ttrpc_call_finish(void *call, const struct error *err);

const char *ttrpc_call_method(const struct ttrpc_call *call);
void *ttrpc_call_ctx(const struct ttrpc_call *call); /* that of its server */
/* Its answer has no receiver: the connection has gone, or the deadline that the client set
 * has passed (then DeadlineExceeded has been its answer). */
bool ttrpc_call_is_orphan(const struct ttrpc_call *call);
bool ttrpc_call_is_late(const struct ttrpc_call *call); /* the latter */
/*
 * The answer comes when something happens, perhaps never: @call does not count as a call any more.
 * ttrpc cannot cancel a call, so a client that has gone leaves such calls behind, and they must not
 * use up the room for others. @on_orphan (optional) is called once, when @call becomes an orphan;
 * it may answer the call, which frees it. ERROR_RESOURCE_EXHAUSTED: too many are parked.
 */
int ttrpc_call_park(struct ttrpc_call *call, void (*on_orphan)(void *ctx), void *ctx,
                    struct error *err);

#endif
