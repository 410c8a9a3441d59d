#include "hypervisor/qemu/host_cpu.h"

#include <time.h>
#include <x86intrin.h>

#define SAMPLE_TRIES  5
#define NS_PER_MS     1000000
#define SPAN_MIN_NS   (NS_PER_MS / 2) /* a shorter one says too little */
#define TSC_KHZ_LEAST 100000
#define TSC_KHZ_MOST  10000000

/* The clock is read between two readings of the counter; the closest pair of several counts. */
void tsc_sample(struct tsc_sample *sample)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < SAMPLE_TRIES; i++) {
		struct timespec now;
		uint64_t before = __rdtsc();
		uint64_t after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &now);
		after = __rdtsc();
		if (after - before >= best)
			continue;
		best = after - before;
		sample->ticks = before + (after - before) / 2;
		sample->ns = now.tv_sec * 1000000000LL + now.tv_nsec;
	}
}

unsigned int tsc_khz(const struct tsc_sample *from, const struct tsc_sample *to)
{
	int64_t ns = to->ns - from->ns;
	uint64_t ticks = to->ticks - from->ticks;
	uint64_t khz;

	if (ns < SPAN_MIN_NS || to->ticks <= from->ticks || ticks > UINT64_MAX / NS_PER_MS)
		return 0;
	khz = ticks * NS_PER_MS / (uint64_t)ns;
	return khz >= TSC_KHZ_LEAST && khz <= TSC_KHZ_MOST ? (unsigned int)khz : 0;
}
