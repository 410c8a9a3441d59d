/*
 * A child that takes the output of a process: a logging program (binary://, containerd
 * core/runtime/v2/README.md "Logging"), or this executable copying into a file (file://), since
 * writing to a file can block. It outlives this process: it ends at end of file, with the last
 * lines.
 */
#ifndef SHIM_LOGGER_H
#define SHIM_LOGGER_H

#include "common/cleanup.h"
#include "common/error.h"

struct config;
struct ev_loop;
struct logger;
struct stdio_uri;

struct logger_of {
	const char *id; /* the container's, and its namespace: for the program's environment */
	const char *ns;
	const struct config *config; /* the time-outs; outlives the logger */
};

/*
 * Starts the program of @uri, a logger, or the copying into its file. @ready is called once: it
 * takes output from now on, or why it does not.
 */
int logger_start(struct ev_loop *loop, const struct stdio_uri *uri, const struct logger_of *of,
                 done_fn *ready, void *ctx, struct logger **out, struct error *err);

/* The write ends for stdout and stderr, once each; the caller's. */
int logger_take_out(struct logger *logger);
int logger_take_err(struct logger *logger);

/* All write ends are closed: waits until it has ended, helping where it does not. @done once, at
 * once if it has ended. */
void logger_end(struct logger *logger, void (*done)(void *ctx), void *ctx);

/* NULL is fine. Callbacks are dropped; one that still runs is left to its end of file. */
void logger_destroy(struct logger *logger);

CLEANUP_DESTROY(logger)

#endif
