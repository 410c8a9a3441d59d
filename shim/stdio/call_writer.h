/*
 * The input of a process that is written by calls (guest_io.h): reads a piece from the descriptor,
 * and the next when the guest has taken all of it.
 */
#ifndef SHIM_CALL_WRITER_H
#define SHIM_CALL_WRITER_H

#include "common/cleanup.h"
#include "common/error.h"
#include "shim/stdio/guest_io.h"

struct call_writer;
struct ev_loop;

/* Reads @fd, which is non-blocking and taken over, from now on. @on_done once, from the loop: the
 * guest has got all up to the end of the input, and knows the end; or why not. */
struct call_writer *call_writer_start(struct ev_loop *loop, const struct guest_io *io, int fd,
                                      done_fn *on_done, void *ctx);
void call_writer_destroy(
	struct call_writer *writer); /* NULL is fine; nothing is written any more */

CLEANUP_DESTROY(call_writer)

#endif
