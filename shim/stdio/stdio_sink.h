/*
 * The host's ends of a process's output: descriptors that take what stdout and stderr write.
 * What stdout says is a file or a program, takes both.
 */
#ifndef SHIM_STDIO_SINK_H
#define SHIM_STDIO_SINK_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"

struct ev_loop;
struct stdio_config;
struct stdio_sink;

/* Opens both, never blocks; @done once. */
int stdio_sink_open(struct ev_loop *loop, const struct stdio_config *config, done_fn *done,
                    void *ctx, struct stdio_sink **out, struct error *err);
/* Where one output goes. */
struct sink_end {
	int write_fd; /* -1: to /dev/null */
	int read_fd;  /* of a FIFO, whose readers come and go; else -1 */
};
/* Whether both outputs go into one FIFO. */
bool stdio_sink_is_one(const struct stdio_sink *sink);
/* Hands both over. */
struct sink_end stdio_sink_take_out(struct stdio_sink *sink);
struct sink_end stdio_sink_take_err(struct stdio_sink *sink);

/* Both have been closed: @done, at once or when who takes the output has seen its end. */
void stdio_sink_end(struct stdio_sink *sink, void (*done)(void *ctx), void *ctx);
void stdio_sink_destroy(struct stdio_sink *sink); /* NULL is fine; callbacks are dropped */

CLEANUP_DESTROY(stdio_sink)

#endif
