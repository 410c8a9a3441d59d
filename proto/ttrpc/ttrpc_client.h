/*
 * ttrpc client: unary calls over one connection it owns, many at once, each with a deadline.
 *
 * Loss of the peer or a broken frame fails every pending call with the cause (ERROR_UNAVAILABLE),
 * then calls on_lost.
 */
#ifndef PROTO_TTRPC_CLIENT_H
#define PROTO_TTRPC_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/limits.h"

struct ev_loop;
struct ttrpc_client;

/* Calls that have not been answered, and calls without a deadline, which are counted apart, so that
 * they do not use up the room for others. One more is refused with ERROR_RESOURCE_EXHAUSTED. */
#define TTRPC_CLIENT_CALLS_MAX LIMIT_CALLS
#define TTRPC_CLIENT_WAITS_MAX LIMIT_PARKED

/* @response is NULL when @err is not; both are valid during the callback only. Never called from
 * inside a call. */
typedef void ttrpc_done_fn(void *ctx, const ProtobufCMessage *response, const struct error *err);

/* Takes ownership of @fd, a connected stream socket. @on_lost (optional) may destroy the client. */
struct ttrpc_client *ttrpc_client_create(struct ev_loop *loop, int fd, done_fn *on_lost, void *ctx);
void ttrpc_client_destroy(
	struct ttrpc_client *client); /* NULL is fine; pending calls are dropped silently */

/*
 * @timeout_ms: 0 for the few calls that may wait for ever. *@id (optional) names the call for
 * ttrpc_client_forget(). Returns 0 and calls @done once, from the loop; or a negative errno and
 * never calls it.
 */
int ttrpc_client_call(struct ttrpc_client *client, const char *service, const char *method,
                      const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response,
                      int timeout_ms, ttrpc_done_fn *done, void *ctx, uint32_t *id,
                      struct error *err);

/* The peer has gone. True already while the pending calls are told so, before on_lost. */
bool ttrpc_client_is_lost(const struct ttrpc_client *client);

/* Drops a pending call: its callback will not come. */
void ttrpc_client_forget(struct ttrpc_client *client, uint32_t id);

#endif
