/*
 * The size of the machine while it runs. It grows at once, for who waits for it. It becomes smaller
 * when who updates a container asks for it, and some time after a container has gone: memory and vCPUs
 * that have been plugged are given back by the guest, as far as no container wants them. One change
 * is under way at a time, in the order of the requests; a growth cuts a wait for the guest to
 * give back short. What is there already is waited for by nobody.
 */
#ifndef SHIM_MACHINE_SIZE_H
#define SHIM_MACHINE_SIZE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "shim/spec/vm_size.h"

struct agent;
struct ev_loop;
struct machine_size;
struct vm;

/* What the containers want together now. */
typedef struct vm_size machine_size_wanted_fn(const void *ctx);

struct machine_size_config {
	struct vm *vm; /* both run, and outlive machine_size_end() */
	struct agent *agent;
	struct vm_size start;           /* less than that it never becomes */
	int timeout_ms;                 /* of each step of a growth */
	int give_back_ms;               /* for the guest: of vCPUs, and of memory */
	int delay_ms;                   /* after a container has gone */
	machine_size_wanted_fn *wanted; /* NULL: the machine never becomes smaller */
	const void *ctx;
};

struct machine_size *machine_size_create(struct ev_loop *loop,
                                         const struct machine_size_config *config);
/* NULL is fine. The machine or the agent ends: requests are answered with @why, and no callback is
 * called any more. */
void machine_size_end(struct machine_size *size, const struct error *why);
void machine_size_destroy(struct machine_size *size); /* NULL is fine; it has ended */

/* One who waits for it: embedded, lives until it is called or left. */
struct size_waiter {
	TAILQ_ENTRY(size_waiter) link;
	struct vm_size wanted; /* by a growth */
	bool shrinks;
	bool has_begun;
	done_fn *done;
	void *ctx;
};

/*
 * Calls @done once, at once if the machine is as big as @wanted; where the machine cannot have as
 * much, it gets its maximum. With an error it may have grown in part, and gives that back soon.
 */
void machine_size_grow(struct machine_size *size, const struct vm_size *wanted,
                       struct size_waiter *waiter, done_fn *done, void *ctx);
/* Calls @done once, at once if the machine has no more than the containers want. What the guest does
 * not give back in time is logged with the reason, and is no error: @err is that of the machine's end.
 */
void machine_size_shrink(struct machine_size *size, struct size_waiter *waiter, done_fn *done,
                         void *ctx);
/* It is not called any more; what has begun goes on. */
void machine_size_leave(struct machine_size *size, struct size_waiter *waiter);
/* A container has gone: the machine becomes smaller when none has for the configured time. */
void machine_size_shrink_later(struct machine_size *size);

#endif
