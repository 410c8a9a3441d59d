/*
 * The host's stdio streams (proto/vsock_ports.h): accepted when the host opens them, kept until a
 * call claims them by the host's port, or for VSOCK_STREAM_CLAIM_S seconds; and the output that
 * still flows when its process has gone.
 */
#ifndef AGENT_STREAMS_H
#define AGENT_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

struct ev_loop;
struct error;
struct streams;

#define STREAMS_UNCLAIMED_MAX 1024 /* one more is closed at once */

/* The port that an accepted connection comes from, as vsock_socket_peer(). */
typedef int streams_peer_fn(int fd, uint32_t *port, struct error *err);

/* Takes ownership of @listen_fd. */
struct streams *streams_create(struct ev_loop *loop, int listen_fd, streams_peer_fn *peer);
void streams_destroy(struct streams *streams); /* NULL is fine; cuts off what still flows */

/*
 * The stream from the host's @port, owned by the caller. One that the host has opened before it
 * made the call is always found. ERROR_NOT_FOUND names the port.
 */
int streams_claim(struct streams *streams, uint32_t port, int *out, struct error *err);

/* Copies from @from to @to, the stream of the host's @port (both taken over), until the end,
 * whatever becomes of the process. */
void streams_drain(struct streams *streams, uint32_t port, int from, int to);

/* The bytes that have been written to the output to @port by now; false: it has ended. */
bool streams_written(const struct streams *streams, uint32_t port, uint64_t *out);

#endif
