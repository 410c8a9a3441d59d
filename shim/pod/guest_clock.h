/*
 * Keeps the guest's clock to the host's: sets it before anything of a container runs, looks at it
 * every now and then, and at once when the host's own has jumped or has been suspended.
 */
#ifndef SHIM_GUEST_CLOCK_H
#define SHIM_GUEST_CLOCK_H

#include "common/error.h"

struct agent;
struct ev_loop;
struct guest_clock;

/*
 * @on_set is called once, from the loop, when the clock is set or cannot be; it may destroy it.
 * @features is a set of enum feature: the clock of an agent without FEATURE_CLOCK is set this once,
 * and as late as the call took. @interval_ms: between two looks. @agent outlives the clock.
 */
int guest_clock_start(struct ev_loop *loop, struct agent *agent, unsigned int features,
                      int interval_ms, done_fn *on_set, void *ctx, struct guest_clock **out,
                      struct error *err);
void guest_clock_destroy(struct guest_clock *clock); /* NULL is fine; no callback */

#endif
