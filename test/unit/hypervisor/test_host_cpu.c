#include "hypervisor/qemu/host_cpu.h"

#include <criterion/criterion.h>
#include <time.h>

static unsigned int measure(long ns)
{
	struct timespec pause = { .tv_nsec = ns };
	struct tsc_sample from, to;

	tsc_sample(&from);
	nanosleep(&pause, NULL);
	tsc_sample(&to);
	return tsc_khz(&from, &to);
}

Test(host_cpu, measures_the_same_rate_over_a_short_and_a_long_time)
{
	unsigned int precise = measure(100000000);
	unsigned int quick = measure(1000000);
	unsigned int apart = precise > quick ? precise - quick : quick - precise;

	cr_assert_gt(precise, 0);
	cr_assert_lt(apart, precise / 1000, "%u and %u kHz", precise, quick);
}

Test(host_cpu, does_not_guess_from_what_says_too_little)
{
	struct tsc_sample from = { .ticks = 1000000, .ns = 1000000 };
	struct tsc_sample too_soon = { .ticks = 1000000 + 500, .ns = 1000000 + 200 };
	struct tsc_sample backwards = { .ticks = 900000, .ns = 3000000 };
	struct tsc_sample absurd = { .ticks = 1000001, .ns = 3000000 };
	struct tsc_sample good = { .ticks = 1000000 + 2600000, .ns = 2000000 };

	cr_assert_eq(tsc_khz(&from, &too_soon), 0);
	cr_assert_eq(tsc_khz(&from, &backwards), 0);
	cr_assert_eq(tsc_khz(&from, &absurd), 0);
	cr_assert_eq(tsc_khz(&from, &good), 2600000);
}
