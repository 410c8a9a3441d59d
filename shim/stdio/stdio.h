/*
 * The standard streams of one process, from containerd's end to the guest's (design.md, "Stdio"):
 * opens the FIFOs, hands them to the vsock device, and knows when the last byte has been read. With an
 * agent that has no streams, the bytes go by calls, through this process (guest_io.h).
 */
#ifndef SHIM_STDIO_H
#define SHIM_STDIO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "shim/stdio/stdio_config.h"

struct ev_loop;
struct stdio;
struct vsock;

/* What the agent calls the streams: the host's ports; 0: none, or it is called for them. */
struct stdio_ports {
	uint32_t in;
	uint32_t out;
	uint32_t err;
};

/* Opens the output ends and a stream to the guest for each; @done once. Strings are not kept. */
int stdio_open(struct ev_loop *loop, struct vsock *vsock, const struct stdio_config *config,
               done_fn *done, void *ctx, struct stdio **out, struct error *err);
const struct stdio_ports *stdio_ports(const struct stdio *stdio);

/* Whether the agent is called for the bytes. Then the guest forgets the output of a process whose end
 * has been asked for: that comes after stdio_read_to_end(). */
bool stdio_is_by_calls(const struct stdio *stdio);
/*
 * The guest has the process: its output is read. Calls @done once, at once or when it has ended and
 * is in the FIFOs. A reader that does not read holds it up; a stdio_await_read() replaces it.
 */
void stdio_read_to_end(struct stdio *stdio, void (*done)(void *ctx), void *ctx);

/* Opens stdin's FIFO for reading, so that a writer's open(2) returns; nothing is read. */
int stdio_open_stdin(struct stdio *stdio, const char *path, struct error *err);
/* The process runs: stdin is read from now on. */
int stdio_start(struct stdio *stdio, struct error *err);
/* Input ends with what is in the FIFO and what others still write. */
void stdio_close_stdin(struct stdio *stdio);

/* What the process had written when it ended; STDIO_TO_THE_END: all that comes. */
#define STDIO_TO_THE_END UINT64_MAX
struct stdio_written {
	uint64_t out;
	uint64_t err;
};

/*
 * The process has ended: calls @done once (at once, if nothing is left to wait for) when what it
 * wrote has been read, or after a time without a read (stdio_exit_ms). Output flows on.
 */
void stdio_await_read(struct stdio *stdio, const struct stdio_written *written,
                      void (*done)(void *ctx), void *ctx);

/*
 * The process is deleted: calls @done once (at once, if nothing is left to do) when all output has
 * been read or does not move any more, and is closed. Drops a stdio_await_read() that is under way.
 */
void stdio_drain(struct stdio *stdio, void (*done)(void *ctx), void *ctx);

void stdio_destroy(struct stdio *stdio); /* NULL is fine; what still flows is cut off */

CLEANUP_DESTROY(stdio)

#endif
