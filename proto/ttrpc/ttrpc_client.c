#include "proto/ttrpc/ttrpc_client.h"

#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/queue.h>

#include "common/mem.h"
#include "proto/message.h"
#include "proto/status.h"
#include "proto/ttrpc.pb-c.h"
#include "proto/ttrpc/ttrpc_conn.h"

#define STREAM_FIRST 1 /* the asking end's ids are odd (PROTOCOL.md, "Message Frame") */
#define STREAM_STEP  2
#define STREAM_LAST  (UINT32_MAX - STREAM_STEP)

struct pending {
	LIST_ENTRY(pending) link;
	struct ttrpc_client *client;
	uint32_t stream;
	char *name; /* service.method, for error texts */
	const ProtobufCMessageDescriptor *response;
	ttrpc_done_fn *done;
	void *ctx;
	int timeout_ms;
	ev_timer deadline;
};

struct ttrpc_client {
	struct ev_loop *loop;
	struct ttrpc_conn *conn; /* NULL once the peer is lost */
	uint32_t next_stream;
	LIST_HEAD(, pending) pending;
	unsigned int ncalls;
	unsigned int nwaits; /* without a deadline: not in ncalls */
	done_fn *on_lost;
	void *ctx;
	bool losing; /* its callers are being told of the loss */
	bool destroyed;
};

static unsigned int *count_of(struct ttrpc_client *client, int timeout_ms)
{
	return timeout_ms > 0 ? &client->ncalls : &client->nwaits;
}

static void pending_free(struct pending *call)
{
	LIST_REMOVE(call, link);
	ev_timer_stop(call->client->loop, &call->deadline);
	--*count_of(call->client, call->timeout_ms);
	free(call->name);
	free(call);
}

/* Its last act is the callback, which may free the client. */
static void pending_done(struct pending *call, const ProtobufCMessage *response,
                         const struct error *err)
{
	ttrpc_done_fn *done = call->done;
	void *ctx = call->ctx;

	pending_free(call);
	done(ctx, response, err);
}

static struct pending *pending_find(struct ttrpc_client *client, uint32_t stream)
{
	struct pending *call;

	LIST_FOREACH (call, &client->pending, link)
		if (call->stream == stream)
			return call;
	return NULL;
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct pending *call = watcher->data;
	struct error err;

	error_set(&err, ERROR_DEADLINE_EXCEEDED, "%s: no answer within %d ms", call->name,
	          call->timeout_ms);
	pending_done(call, NULL, &err);
}

/* Opens the two layers of an answer. Returns 0 and *@out, or what the answer says or lacks. */
static int answer_read(const struct pending *call, const struct ttrpc_frame *frame,
                       ProtobufCMessage **out, struct error *err)
{
	ProtobufCMessage *message = NULL;
	const Ttrpc__Response *answer;
	int r;

	if (frame->type != TTRPC_FRAME_RESPONSE)
		return error_set(err, ERROR_INTERNAL, "%s: answered by a frame of type %d",
		                 call->name, frame->type);
	r = message_decode(&ttrpc__response__descriptor, frame->payload, frame->len, &message, err);
	if (r == 0) {
		answer = (const Ttrpc__Response *)message;
		status_to_error(answer->status, err);
		if (err->code == ERROR_NONE)
			r = message_decode(call->response, answer->payload.data,
			                   answer->payload.len, out, err);
		message_free(message);
	}
	if (r == 0)
		return error_code_errno(err->code);
	err->code = ERROR_INTERNAL; /* the peer's fault, not an argument of ours */
	return error_wrap(err, "%s: undecodable answer", call->name);
}

static void on_frame(void *ctx, const struct ttrpc_frame *frame)
{
	struct ttrpc_client *client = ctx;
	struct pending *call = pending_find(client, frame->stream);
	ProtobufCMessage *response = NULL;
	struct error err;

	if (!call) /* forgotten, or its deadline has passed */
		return;
	if (answer_read(call, frame, &response, &err) < 0)
		pending_done(call, NULL, &err);
	else
		pending_done(call, response, NULL);
	message_free(response);
}

static void on_close(void *ctx, const struct error *why)
{
	struct ttrpc_client *client = ctx;
	struct pending *call;
	struct error err;

	error_set(&err, ERROR_UNAVAILABLE, "%s", why ? why->text : "the ttrpc peer has gone");
	ttrpc_conn_destroy(take_ptr(&client->conn));
	client->losing = true;
	while ((call = LIST_FIRST(&client->pending)))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() moves the head */
		pending_done(call, NULL, &err);
	client->losing = false;
	if (client->destroyed)
		free(client);
	else if (client->on_lost)
		client->on_lost(client->ctx, &err);
}

bool ttrpc_client_is_lost(const struct ttrpc_client *client)
{
	return !client->conn;
}

static const struct ttrpc_conn_ops client_ops = {
	.on_frame = on_frame,
	.on_close = on_close,
};

struct ttrpc_client *ttrpc_client_create(struct ev_loop *loop, int fd, done_fn *on_lost, void *ctx)
{
	struct ttrpc_client *client = mem_new(struct ttrpc_client);

	client->loop = loop;
	client->conn = ttrpc_conn_create(loop, fd, &client_ops, client);
	client->next_stream = STREAM_FIRST;
	client->on_lost = on_lost;
	client->ctx = ctx;
	LIST_INIT(&client->pending);
	return client;
}

void ttrpc_client_destroy(struct ttrpc_client *client)
{
	struct pending *call;

	if (!client)
		return;
	while ((call = LIST_FIRST(&client->pending)))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() moves the head */
		pending_free(call);
	ttrpc_conn_destroy(take_ptr(&client->conn));
	client->destroyed = true;
	if (!client->losing)
		free(client);
}

void ttrpc_client_forget(struct ttrpc_client *client, uint32_t id)
{
	struct pending *call = pending_find(client, id);

	if (call)
		pending_free(call);
}

static int client_send(struct ttrpc_client *client, const char *service, const char *method,
                       const ProtobufCMessage *message, int timeout_ms, struct error *err)
{
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	int r;

	request.service = (char *)service;
	request.method = (char *)method;
	request.payload = message_encode(message);
	request.timeout_nano = (int64_t)timeout_ms * 1000000;
	r = ttrpc_conn_send(client->conn, client->next_stream, TTRPC_FRAME_REQUEST, &request.base,
	                    err);
	free(request.payload.data);
	return r < 0 ? error_wrap(err, "%s.%s", service, method) : 0;
}

int ttrpc_client_call(struct ttrpc_client *client, const char *service, const char *method,
                      const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response,
                      int timeout_ms, ttrpc_done_fn *done, void *ctx, uint32_t *id,
                      struct error *err)
{
	unsigned int max = timeout_ms > 0 ? TTRPC_CLIENT_CALLS_MAX : TTRPC_CLIENT_WAITS_MAX;
	struct pending *call;
	int r;

	if (!client->conn || client->next_stream > STREAM_LAST)
		return error_set(err, ERROR_UNAVAILABLE, "%s.%s: the ttrpc peer has gone", service,
		                 method);
	if (*count_of(client, timeout_ms) == max)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "%s.%s: %u calls wait for an answer already", service, method,
		                 max);
	r = client_send(client, service, method, request, timeout_ms, err);
	if (r < 0)
		return r;
	call = mem_new(struct pending);
	call->client = client;
	call->stream = client->next_stream;
	call->name = mem_printf("%s.%s", service, method);
	call->response = response;
	call->done = done;
	call->ctx = ctx;
	call->timeout_ms = timeout_ms;
	ev_timer_init(&call->deadline, on_deadline, timeout_ms / 1e3, 0);
	call->deadline.data = call;
	if (timeout_ms > 0) {
		ev_now_update(
			client->loop); /* the deadline counts from now, not from the loop's turn */
		ev_timer_start(client->loop, &call->deadline);
	}
	LIST_INSERT_HEAD(&client->pending, call, link);
	++*count_of(client, timeout_ms);
	client->next_stream += STREAM_STEP;
	if (id)
		*id = call->stream;
	return 0;
}
