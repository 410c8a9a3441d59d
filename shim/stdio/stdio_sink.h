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
/* Hands the descriptor over; -1: that stream goes to /dev/null. */
int stdio_sink_take_out(struct stdio_sink *sink);
int stdio_sink_take_err(struct stdio_sink *sink);
/* Whether they are FIFOs, whose readers come and go. */
bool stdio_sink_is_fifo(const struct stdio_sink *sink);

/* Both have been closed: @done, at once or when who takes the output has seen its end. */
void stdio_sink_end(struct stdio_sink *sink, void (*done)(void *ctx), void *ctx);
void stdio_sink_destroy(struct stdio_sink *sink); /* NULL is fine; callbacks are dropped */

CLEANUP_DESTROY(stdio_sink)

#endif
