/*
 * One output of a process: what brings it from the guest, a stream of the vsock device or calls
 * (call_reader.h), and the FIFO or pipe out of which somebody reads it. It is known how many bytes
 * have been read.
 */
#ifndef SHIM_OUTPUT_H
#define SHIM_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "hypervisor/vsock.h"
#include "shim/stdio/guest_io.h"

struct ev_loop;
struct output;

#define OUTPUT_TO_ITS_END UINT64_MAX /* as STDIO_TO_THE_END */

struct output_config {
	const char *name; /* for the log; not copied */
	int write_fd;     /* where it goes: taken over */
	int read_fd;      /* of the same FIFO, taken over; -1: a pipe (fifo_hold.h) */
	int timeout_ms;   /* to be open at the guest */
	/* What is called to read it: the guest's stdout, or (@is_err) stderr. No calls: a stream. */
	struct guest_io io;
	bool is_err;
	/* Another output into the same FIFO, or NULL: one would be a reader in the other's eyes. */
	const struct output *beside;
};

/* @on_open once, @host_port 0 where there is no stream; then the output flows, until it ends or is
 * destroyed. What is read by calls is open at once, from within, and flows from output_start() on.
 * Takes the descriptors over also when it fails. */
int output_open(struct ev_loop *loop, struct vsock *vsock, const struct output_config *config,
                vsock_opened_fn *on_open, void *ctx, struct output **out, struct error *err);

/* The guest has the process. Nothing for a stream. */
void output_start(struct output *output);

/* Calls @done once, at once or when nothing comes from the guest any more and all that came is in the
 * FIFO or pipe. An output_wait() replaces it. */
void output_when_ended(struct output *output, void (*done)(void *ctx), void *ctx);

struct output_wait {
	uint64_t written; /* the bytes to wait for; OUTPUT_TO_ITS_END: all */
	/* The wait ends when nothing has moved for this time: @patience_ms if the reader does not
	 * read, @guest_ms if the guest does not send. */
	int patience_ms;
	int guest_ms;
	int limit_ms; /* of the whole wait; 0: no limit */
	bool last;    /* then it is destroyed: its reader does not come back */
};

/*
 * Calls @done once, also from within, when those bytes have been read or the wait has timed out.
 * Time is counted in checks: time in which the shim was stopped, or got no processor, does not
 * count. A new wait replaces one that is under way.
 */
void output_wait(struct output *output, const struct output_wait *wait, void (*done)(void *ctx),
                 void *ctx);

/* The number of unread bytes, as far as is known. */
uint64_t output_unread(const struct output *output);

void output_destroy(struct output *output); /* NULL is fine; what still flows is cut off */

CLEANUP_DESTROY(output)

#endif
