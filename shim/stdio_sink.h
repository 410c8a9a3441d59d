/*
 * The host's ends of a process's output: descriptors that take what stdout and stderr write.
 */
#ifndef SHIM_STDIO_SINK_H
#define SHIM_STDIO_SINK_H

#include "common/cleanup.h"

struct ev_loop;
struct error;
struct stdio_config;
struct stdio_sink;

/* Opens both; never blocks. */
int stdio_sink_open(struct ev_loop *loop, const struct stdio_config *config,
                    struct stdio_sink **out, struct error *err);
/* Hands the descriptor over; -1: that stream goes to /dev/null. */
int stdio_sink_take_out(struct stdio_sink *sink);
int stdio_sink_take_err(struct stdio_sink *sink);
void stdio_sink_destroy(struct stdio_sink *sink); /* NULL is fine */

CLEANUP_DESTROY(stdio_sink)

#endif
