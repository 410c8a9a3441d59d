/*
 * The streams of one process as an agent without streams of its own serves them (proto/features.h:
 * FEATURE_STREAMS): by a call for each piece. Every byte passes through this process then, at most
 * GUEST_IO_MAX of each stream at once.
 */
#ifndef SHIM_GUEST_IO_H
#define SHIM_GUEST_IO_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define GUEST_IO_MAX 65536 /* as many as a pipe holds */

struct guest_call;

/* At most as many bytes as were asked for; none: the end. @data is valid during the callback only;
 * NULL with an error. */
typedef void guest_read_fn(void *ctx, const void *data, size_t len, const struct error *err);
/* @taken: of the bytes that were offered. */
typedef void guest_written_fn(void *ctx, size_t taken, const struct error *err);

/*
 * The calls; completion contract of proto/ttrpc/ttrpc_client.h. *@out is the pending call, for
 * forget(), until @done is called. The first argument is the guest_io's process.
 */
struct guest_io_calls {
	int (*read)(void *process, bool is_err, size_t max, guest_read_fn *done, void *ctx,
	            struct guest_call **out, struct error *err);
	int (*write)(void *process, const void *data, size_t len, guest_written_fn *done, void *ctx,
	             struct guest_call **out, struct error *err);
	int (*close)(void *process, done_fn *done, void *ctx, struct guest_call **out,
	             struct error *err);
	void (*forget)(struct guest_call *call); /* its callback will not come; NULL is fine */
};

struct guest_io {
	const struct guest_io_calls *calls; /* NULL: the agent has streams */
	void *process;                      /* outlives the stdio */
};

#endif
