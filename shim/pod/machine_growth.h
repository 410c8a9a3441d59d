/*
 * The machine while it runs, as it becomes bigger: memory and vCPUs are plugged, the guest takes
 * them. One growth is under way at a time, in the order of the requests; what is there already is
 * waited for by nobody.
 */
#ifndef SHIM_MACHINE_GROWTH_H
#define SHIM_MACHINE_GROWTH_H

#include <stdbool.h>
#include <sys/queue.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "shim/spec/vm_size.h"

struct agent;
struct machine_growth;
struct vm;

struct machine_growth_config {
	struct vm *vm; /* both run, and outlive the growth's end */
	struct agent *agent;
	struct vm_size now;
	int timeout_ms; /* of each step */
};

struct machine_growth *machine_growth_create(const struct machine_growth_config *config);
/* NULL is fine. The machine or the agent ends: requests are answered with @why, and no callback is
 * called any more. */
void machine_growth_end(struct machine_growth *growth, const struct error *why);
void machine_growth_destroy(struct machine_growth *growth); /* NULL is fine; it has ended */

/* One who waits for it: embedded, lives until it is called or left. */
struct growth_waiter {
	TAILQ_ENTRY(growth_waiter) link;
	struct vm_size wanted;
	bool has_begun;
	done_fn *done;
	void *ctx;
};

/*
 * Calls @done once, at once if the machine is as big as @wanted; where the
 * machine cannot have as much, it gets its maximum. With an error it may have grown in
 * part.
 */
void machine_growth_ask(struct machine_growth *growth, const struct vm_size *wanted,
                        struct growth_waiter *waiter, done_fn *done, void *ctx);
/* It is not called any more; what has begun goes on. */
void machine_growth_leave(struct machine_growth *growth, struct growth_waiter *waiter);

#endif
