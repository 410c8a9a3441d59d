#include "common/monotonic.h"

#include <time.h>

#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000

int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t monotonic_ms(void)
{
	return monotonic_ns() / NS_PER_MS;
}
