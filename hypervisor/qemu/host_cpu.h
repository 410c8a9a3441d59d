/*
 * The host's processor, as a guest may be told of it.
 */
#ifndef HYPERVISOR_QEMU_HOST_CPU_H
#define HYPERVISOR_QEMU_HOST_CPU_H

#include <stdint.h>

/* The time stamp counter beside the clock, at one moment. */
struct tsc_sample {
	uint64_t ticks;
	int64_t ns;
};

void tsc_sample(struct tsc_sample *sample);

/* The counter's rate between two moments (a millisecond apart: to 0.01 %); 0: unknown. */
unsigned int tsc_khz(const struct tsc_sample *from, const struct tsc_sample *to);

#endif
