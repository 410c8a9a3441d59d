/*
 * One output of a process: the stream that brings it from the guest, and the FIFO or pipe out of
 * which somebody reads it. No byte passes through here, but it is known how many have been read.
 */
#ifndef SHIM_OUTPUT_H
#define SHIM_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "hypervisor/vsock.h"

struct ev_loop;
struct output;

#define OUTPUT_TO_ITS_END UINT64_MAX /* as STDIO_TO_THE_END */

struct output_config {
	const char *name; /* for the log; not copied */
	int write_fd;     /* where it goes: taken over */
	int read_fd;      /* of the same FIFO, taken over; -1: a pipe (fifo_hold.h) */
	int timeout_ms;   /* to be open at the guest */
	/* Another output into the same FIFO, or NULL: one would be a reader in the other's eyes. */
	const struct output *beside;
};

/* @on_open once; then the output flows, until it ends or is destroyed. Takes the descriptors over
 * also when it fails. */
int output_open(struct ev_loop *loop, struct vsock *vsock, const struct output_config *config,
                vsock_opened_fn *on_open, void *ctx, struct output **out, struct error *err);

struct output_wait {
	uint64_t written; /* the bytes to wait for; OUTPUT_TO_ITS_END: all */
	/* It is waited no longer when nothing has moved for so long, because of a reader that does
	 * not read, or of the guest. */
	int patience_ms;
	int guest_ms;
	int limit_ms; /* nor than that; 0: no limit */
	bool last;    /* then it is destroyed: its reader does not come back */
};

/*
 * Calls @done once, also from within, when those bytes have been read or it is waited no longer.
 * Time is counted in looks: a process that was stopped, or got no processor, has not waited. A wait
 * that is under way is dropped for a new one.
 */
void output_wait(struct output *output, const struct output_wait *wait, void (*done)(void *ctx),
                 void *ctx);

/* The number of unread bytes, as far as is known. */
uint64_t output_unread(const struct output *output);

void output_destroy(struct output *output); /* NULL is fine; what still flows is cut off */

CLEANUP_DESTROY(output)

#endif
