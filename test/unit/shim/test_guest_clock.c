/*
 * The guest's clock, as a shim keeps it: of a fake guest, whose clock is as far ahead of the host's
 * as the test says.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_guest.h"
#include "service_bench.h"
#include "shim/config/config.h"

#define NS_PER_MS 1000000LL

TestSuite(guest_clock, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

static bool is_near(int64_t ns, int64_t wanted)
{
	return llabs(ns - wanted) < 5 * NS_PER_MS;
}

static void run_until_near(const int64_t *ns, int64_t wanted)
{
	for (int i = 0; i < 6000 && !is_near(*ns, wanted); i++)
		bench_run_for(0.01);
	cr_assert(is_near(*ns, wanted), "%lld ns, not %lld", (long long)*ns, (long long)wanted);
}

Test(guest_clock, is_set_before_there_is_anything_to_see_it)
{
	fake.clock_ahead_ns = -930 * NS_PER_MS;
	bench_run_container();
	cr_assert(is_near(fake.clock_ahead_ns, 0), "%lld ns", (long long)fake.clock_ahead_ns);
	cr_assert(fake_order("SetGuestDateTime", "CreateSandbox"), "%s", fake.log);
}

Test(guest_clock, that_was_stopped_or_set_is_mended_at_the_next_look)
{
	bench.settings->clock_interval_ms = 20;
	bench_run_container();
	fake.clock_ahead_ns = -3000 * NS_PER_MS;
	run_until_near(&fake.clock_ahead_ns, 0);
	fake.clock_ahead_ns = 86400000 * NS_PER_MS;
	run_until_near(&fake.clock_ahead_ns, 0);
}

Test(guest_clock, that_drifts_is_slewed_and_not_stepped)
{
	bench.settings->clock_interval_ms = 20;
	bench_run_container();
	fake.clock_ahead_ns = 12 * NS_PER_MS;
	run_until_near(&fake.clock_slew_ns, -12 * NS_PER_MS);
	cr_assert(is_near(fake.clock_ahead_ns, 12 * NS_PER_MS), "no step");
}

/* As that of a guest that stands still while it is asked. */
Test(guest_clock, is_not_believed_after_a_long_round_trip)
{
	bench.settings->clock_interval_ms = 20;
	bench_run_container();
	fake.holds = "GetGuestDetails";
	cr_assert(bench_wait_until(&fake.holding));
	bench_run_for(0.2);
	fake_release();
	fake.clock_ahead_ns = -200 * NS_PER_MS;
	run_until_near(&fake.clock_ahead_ns, 0);
}

Test(guest_clock, that_cannot_be_read_for_a_while_is_read_again)
{
	bench.settings->clock_interval_ms = 20;
	bench_run_container();
	error_set(&fake.refusal, ERROR_RESOURCE_EXHAUSTED, "too many calls");
	fake.fails = "GetGuestDetails";
	bench_run_for(0.1);
	fake.fails = NULL;
	fake.clock_ahead_ns = -3000 * NS_PER_MS;
	run_until_near(&fake.clock_ahead_ns, 0);
}

Test(guest_clock, that_cannot_be_read_at_the_start_fails_create)
{
	struct answer answer;

	error_set(&fake.refusal, ERROR_PERMISSION_DENIED, "no clock");
	fake.fails = "GetGuestDetails";
	bench_serve(60000);
	answer = bench_create();
	cr_assert_eq(answer.err.code, ERROR_PERMISSION_DENIED);
	cr_assert(strstr(answer.err.text, "no clock"), "%s", answer.err.text);
}

Test(guest_clock, of_an_agent_that_knows_no_shift_is_set_once)
{
	struct timespec before, after;
	int64_t passed;

	fake.upstream = true;
	bench.settings->clock_interval_ms = 20;
	fake.clock_ahead_ns = -86400000 * NS_PER_MS;
	clock_gettime(CLOCK_MONOTONIC, &before);
	bench_run_container();
	clock_gettime(CLOCK_MONOTONIC, &after);
	passed = (after.tv_sec + 1 - before.tv_sec) * 1000 * NS_PER_MS;
	cr_assert(fake.clock_ahead_ns <= 0 && fake.clock_ahead_ns > -passed, "%lld ns",
	          (long long)fake.clock_ahead_ns); /* it lags by the time that the call took */
	cr_assert(fake_order("SetGuestDateTime", "CreateSandbox"), "%s", fake.log);
	fake.clock_ahead_ns = -3000 * NS_PER_MS;
	bench_run_for(0.2);
	cr_assert_eq(fake.clock_ahead_ns, -3000 * NS_PER_MS);
}
