#include "proto/ttrpc/ttrpc_server.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/loop/listener.h"
#include "common/mem.h"
#include "common/monotonic.h"
#include "proto/message.h"
#include "proto/status.h"
#include "proto/ttrpc.pb-c.h"
#include "proto/ttrpc/ttrpc_conn.h"

/*
 * Stream ids are checked as containerd/ttrpc's server does (server.go, run): odd, and rising with
 * each request; a wrong one is answered InvalidArgument on the same id. A request's flags are not
 * looked at: 0 and `remote closed` both mean a unary call. Data frames have no place in one: those
 * of a waiting call are dropped, others are answered InvalidArgument.
 */

/* Answers that may wait before no more requests are read. */
#define ANSWERS_WAITING_MAX (1 << 20)
#define NS_PER_S            1e9

struct client {
	LIST_ENTRY(client) link;
	struct ttrpc_server *server;
	struct ttrpc_conn *conn;
	uint32_t last_stream;
	LIST_HEAD(, ttrpc_call) calls;
	unsigned int ncalls;
	unsigned int nparked; /* not in ncalls */
};

struct ttrpc_call {
	LIST_ENTRY(ttrpc_call) link;
	struct client *client; /* NULL: it is an orphan */
	void *server_ctx;
	struct ev_loop *loop;
	uint32_t stream;
	const struct ttrpc_method *method;
	ProtobufCMessage *request;
	ev_timer deadline;
	bool late;
	bool parked;
	void (*on_orphan)(void *ctx); /* NULL: nobody asked for it */
	void *orphan_ctx;
};

struct ttrpc_server {
	struct ev_loop *loop;
	struct listener *listener;
	struct ttrpc_server_config config;
	LIST_HEAD(, client) clients;
	unsigned int nclients;
};

static unsigned int *call_count(const struct ttrpc_call *call)
{
	return call->parked ? &call->client->nparked : &call->client->ncalls;
}

/* Its connection is not to hear of it any more. */
static void call_leave(struct ttrpc_call *call)
{
	if (!call->client)
		return;
	--*call_count(call);
	LIST_REMOVE(call, link);
	ev_timer_stop(call->loop, &call->deadline);
	call->client = NULL;
}

/* Its last act is the callback, which may free the call. */
static void call_orphan(struct ttrpc_call *call)
{
	call_leave(call);
	if (call->on_orphan)
		call->on_orphan(call->orphan_ctx);
}

/* Ends the connection and lets go of its calls. */
static void client_free(struct client *client)
{
	struct ttrpc_call *call;

	while ((call = LIST_FIRST(&client->calls)))
		call_orphan(call);
	LIST_REMOVE(client, link);
	client->server->nclients--;
	ttrpc_conn_destroy(client->conn);
	free(client);
}

static int client_send(struct client *client, uint32_t stream, const Ttrpc__Response *response,
                       struct error *err)
{
	return ttrpc_conn_send(client->conn, stream, TTRPC_FRAME_RESPONSE, &response->base, err);
}

static void client_refuse(struct client *client, uint32_t stream, const struct error *why)
{
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	struct status status;
	struct error err;

	status_from_error(&status, why);
	response.status = &status.message;
	if (client_send(client, stream, &response, &err) < 0)
		ttrpc_conn_abort(client->conn, &err); /* its caller would wait for ever */
}

static void call_free(struct ttrpc_call *call)
{
	call_leave(call);
	message_free(call->request);
	free(call);
}

void ttrpc_call_fail(struct ttrpc_call *call, const struct error *why)
{
	if (call->client)
		client_refuse(call->client, call->stream, why);
	call_free(call);
}

/* @message: NULL for an empty one. */
static void call_answer(struct ttrpc_call *call, const ProtobufCMessage *message)
{
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	struct error err;

	if (call->client) {
		if (message)
			response.payload = message_encode(message);
		if (client_send(call->client, call->stream, &response, &err) < 0)
			client_refuse(call->client, call->stream, &err);
		free(response.payload.data);
	}
	call_free(call);
}

void ttrpc_call_reply(struct ttrpc_call *call, const ProtobufCMessage *response)
{
	call_answer(call, response);
}

void ttrpc_call_finish(void *call, const struct error *err)
{
	if (err)
		ttrpc_call_fail(call, err);
	else
		call_answer(call, NULL);
}

const char *ttrpc_call_method(const struct ttrpc_call *call)
{
	return call->method->name;
}

void *ttrpc_call_ctx(const struct ttrpc_call *call)
{
	return call->server_ctx;
}

bool ttrpc_call_is_orphan(const struct ttrpc_call *call)
{
	return !call->client;
}

bool ttrpc_call_is_late(const struct ttrpc_call *call)
{
	return call->late;
}

int ttrpc_call_park(struct ttrpc_call *call, void (*on_orphan)(void *ctx), void *ctx,
                    struct error *err)
{
	struct client *client = call->client;

	if (client && client->nparked == TTRPC_SERVER_PARKED_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "%s: %d of this connection wait already", call->method->name,
		                 TTRPC_SERVER_PARKED_MAX);
	call->on_orphan = on_orphan;
	call->orphan_ctx = ctx;
	call->parked = true;
	if (client) {
		client->ncalls--;
		client->nparked++;
	}
	return 0;
}

static void set_late(const struct ttrpc_method *method, struct error *err)
{
	error_set(err, ERROR_DEADLINE_EXCEEDED, "%s: the deadline has passed", method->name);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct ttrpc_call *call = timer->data;
	struct error err;

	set_late(call->method, &err);
	client_refuse(call->client, call->stream, &err);
	call->late = true;
	call_orphan(call);
}

/* NULL and an error when there is none. */
static const struct ttrpc_method *method_find(const struct ttrpc_service *services,
                                              const Ttrpc__Request *request, struct error *err)
{
	const struct ttrpc_service *service = services;
	const struct ttrpc_method *method;

	while (service->name && strcmp(service->name, request->service) != 0)
		service++;
	if (!service->name) {
		error_set(err, ERROR_UNIMPLEMENTED, "service \"%s\": not supported",
		          request->service);
		return NULL;
	}
	method = service->methods;
	while (method->name && strcmp(method->name, request->method) != 0)
		method++;
	if (!method->name) {
		error_set(err, ERROR_UNIMPLEMENTED, "service \"%s\" has no method \"%s\"",
		          service->name, request->method);
		return NULL;
	}
	return method;
}

/* @timeout_s: 0 for none. */
static struct ttrpc_call *call_new(struct client *client, const struct ttrpc_method *method,
                                   ProtobufCMessage *request, double timeout_s)
{
	struct ttrpc_call *call = mem_new(struct ttrpc_call);

	call->client = client;
	call->server_ctx = client->server->config.ctx;
	call->loop = client->server->loop;
	call->method = method;
	call->request = request;
	ev_timer_init(&call->deadline, on_deadline, timeout_s, 0);
	call->deadline.data = call;
	if (timeout_s > 0) {
		ev_now_update(call->loop); /* it counts from now, not from the loop's turn */
		ev_timer_start(call->loop, &call->deadline);
	}
	LIST_INSERT_HEAD(&client->calls, call, link);
	client->ncalls++;
	return call;
}

/* Makes a call of a request frame's payload. */
static int call_open(struct client *client, const Ttrpc__Request *request, struct ttrpc_call **out,
                     struct error *err)
{
	const struct ttrpc_method *method;
	ProtobufCMessage *message = NULL;
	int r;

	method = method_find(client->server->config.services, request, err);
	if (!method)
		return error_code_errno(err->code);
	if (request->timeout_nano < 0) {
		set_late(method, err);
		return error_code_errno(err->code);
	}
	if (client->ncalls == TTRPC_SERVER_CALLS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "%s: %d calls of this connection wait already", method->name,
		                 TTRPC_SERVER_CALLS_MAX);
	r = message_decode(method->request, request->payload.data, request->payload.len, &message,
	                   err);
	if (r < 0)
		return error_wrap(err, "%s", method->name);
	*out = call_new(client, method, message, (double)request->timeout_nano / NS_PER_S);
	return 0;
}

/* A request frame: its last act is the handler, which may free the client and the server. */
static void on_request(struct client *client, const struct ttrpc_frame *frame)
{
	void *server_ctx = client->server->config.ctx;
	struct ttrpc_call *call = NULL;
	ProtobufCMessage *request;
	struct error err;

	if (message_decode(&ttrpc__request__descriptor, frame->payload, frame->len, &request,
	                   &err) < 0) {
		client_refuse(client, frame->stream, &err);
		return;
	}
	if (call_open(client, (const Ttrpc__Request *)request, &call, &err) < 0)
		client_refuse(client, frame->stream, &err);
	message_free(request);
	if (!call)
		return;
	call->stream = frame->stream;
	call->method->handler(call, call->request, server_ctx);
}

static bool stream_waits(const struct client *client, uint32_t stream)
{
	const struct ttrpc_call *call;

	LIST_FOREACH (call, &client->calls, link)
		if (call->stream == stream)
			return true;
	return false;
}

static void on_frame(void *ctx, const struct ttrpc_frame *frame)
{
	struct client *client = ctx;
	const char *wrong = NULL;
	struct error err;

	if (frame->stream % 2 == 0)
		wrong = "a client's stream ids are odd";
	else if (frame->type == TTRPC_FRAME_REQUEST && frame->stream <= client->last_stream)
		wrong = "stream ids rise, none is used twice";
	else if (frame->type == TTRPC_FRAME_DATA && !stream_waits(client, frame->stream))
		wrong = "data for a stream that is not open";
	else if (frame->type == TTRPC_FRAME_RESPONSE)
		wrong = "a response sent to a server";
	if (wrong) {
		error_set(&err, ERROR_INVALID_ARGUMENT, "stream %u: %s", frame->stream, wrong);
		client_refuse(client, frame->stream, &err);
	} else if (frame->type == TTRPC_FRAME_REQUEST) {
		client->last_stream = frame->stream;
		on_request(client, frame);
	}
}

/* Its last act is on_idle, which may free the server. */
static void on_close(void *ctx, const struct error *err)
{
	struct client *client = ctx;
	struct ttrpc_server *server = client->server;

	if (err && server->config.on_fault)
		server->config.on_fault(server->config.ctx, err);
	client_free(client);
	if (!server->nclients && server->config.on_idle)
		server->config.on_idle(server->config.ctx);
}

static const struct ttrpc_conn_ops server_ops = {
	.on_frame = on_frame,
	.on_close = on_close,
	.read_below = ANSWERS_WAITING_MAX,
};

static void server_accept(struct ttrpc_server *server, int fd)
{
	struct client *client = mem_new(struct client);

	client->server = server;
	client->conn = ttrpc_conn_create(server->loop, fd, &server_ops, client);
	LIST_INIT(&client->calls);
	LIST_INSERT_HEAD(&server->clients, client, link);
	server->nclients++;
}

static bool server_admits(const struct ttrpc_server *server, int fd)
{
	struct error err;

	if (server->nclients >= TTRPC_SERVER_CONNECTIONS_MAX)
		return false;
	if (!server->config.admit || server->config.admit(fd, &err) == 0)
		return true;
	if (server->config.on_fault)
		server->config.on_fault(server->config.ctx, &err);
	return false;
}

static void on_connection(void *ctx, int fd)
{
	struct ttrpc_server *server = ctx;

	if (server_admits(server, fd))
		server_accept(server, fd);
	else
		close(fd);
}

int ttrpc_server_create(struct ev_loop *loop, int listen_fd,
                        const struct ttrpc_server_config *config, struct ttrpc_server **out,
                        struct error *err)
{
	struct ttrpc_server *server;

	if (file_set_nonblocking(listen_fd) < 0) {
		int r = error_errno(err, "cannot listen for ttrpc clients");

		close(listen_fd);
		return r;
	}
	server = mem_new(struct ttrpc_server);
	server->loop = loop;
	server->config = *config;
	LIST_INIT(&server->clients);
	server->listener = listener_create(loop, listen_fd, on_connection, server);
	*out = server;
	return 0;
}

void ttrpc_server_destroy(struct ttrpc_server *server)
{
	struct client *client;

	if (!server)
		return;
	while ((client = LIST_FIRST(&server->clients)))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() moves the head */
		client_free(client);
	listener_destroy(server->listener);
	free(server);
}

void ttrpc_server_flush(struct ttrpc_server *server, int ms)
{
	int64_t deadline = monotonic_ms() + ms;
	struct client *client;

	LIST_FOREACH (client, &server->clients, link)
		ttrpc_conn_flush(client->conn, deadline);
}
