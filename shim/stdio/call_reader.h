/*
 * One output of a process that is read by calls (guest_io.h): asks for a piece, writes it to the
 * descriptor, and asks for the next when there is room for all of it.
 */
#ifndef SHIM_CALL_READER_H
#define SHIM_CALL_READER_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "hypervisor/vsock.h"
#include "shim/stdio/guest_io.h"

struct call_reader;
struct ev_loop;

struct call_reader_config {
	struct guest_io io;
	bool is_err;
	int fd; /* non-blocking; taken over */
};

/* @on_done as that of vsock_stream_open(): once, from the loop. */
struct call_reader *call_reader_create(struct ev_loop *loop,
                                       const struct call_reader_config *config, done_fn *on_done,
                                       void *ctx);
/* The guest has the process: its output is read from now on. */
void call_reader_start(struct call_reader *reader);
/* As vsock_stream_progress(), always up to date. */
const struct vsock_progress *call_reader_progress(const struct call_reader *reader);
void call_reader_destroy(struct call_reader *reader); /* NULL is fine; nothing is read any more */

CLEANUP_DESTROY(call_reader)

#endif
