/*
 * Synchronizes the guest's clock with the host's: sets it before the first process of a container
 * runs, and checks it periodically, and at once when the host's clock has jumped or the host has
 * resumed from a suspension.
 */
#ifndef SHIM_GUEST_CLOCK_H
#define SHIM_GUEST_CLOCK_H

#include "common/error.h"

struct agent;
struct ev_loop;
struct guest_clock;

/*
 * @on_set is called once, from the loop, when the clock is set or cannot be; it may destroy it.
 * @features is a set of enum feature: the clock of an agent without FEATURE_CLOCK is set once, and
 * lags by the time that the call took. @interval_ms: between two checks. @agent outlives the clock.
 */
int guest_clock_start(struct ev_loop *loop, struct agent *agent, unsigned int features,
                      int interval_ms, done_fn *on_set, void *ctx, struct guest_clock **out,
                      struct error *err);
void guest_clock_destroy(struct guest_clock *clock); /* NULL is fine; no callback */

#endif
