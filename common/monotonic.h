/*
 * Time that passes, whatever is done to the clock: what deadlines and durations are measured by.
 * ev_now() is the time of day, which the host sets in its guest.
 */
#ifndef COMMON_MONOTONIC_H
#define COMMON_MONOTONIC_H

#include <stdint.h>

int64_t monotonic_ns(void);
int64_t monotonic_ms(void);

#endif
