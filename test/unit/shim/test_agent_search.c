/*
 * An agent that does not announce itself, as upstream's does not, is found by connecting.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "fake_guest.h"
#include "service_bench.h"
#include "shim/config/config.h"

#define BOOT_MS 3000 /* of a boot that fails: it is looked for some times before */

TestSuite(agent_search, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(agent_search, an_agent_that_does_not_announce_itself_is_found_when_it_listens)
{
	fake.upstream = true;
	fake.listens_after = 2;
	bench_run_container();
	cr_expect_eq(fake.connects, 4); /* those two, the question, and the calls */
	cr_expect(fake_order("CreateSandbox", "CreateContainer c"));
}

Test(agent_search, an_agent_that_does_not_serve_yet_is_asked_again)
{
	fake.upstream = true;
	fake.serves_after = 2;
	bench_run_container();
	cr_expect_eq(fake.connects, 4);
}

/* On a busy host it may be found before its announcement arrives. */
Test(agent_search, an_agent_of_ours_is_not_taken_without_its_announcement)
{
	struct answer answer;

	fake.upstream = fake.is_ours = true;
	bench.settings->boot_timeout_ms = BOOT_MS;
	bench_serve(60000);
	answer = bench_create();
	cr_expect_eq(answer.err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_eq(fake.connects, 1);
}

Test(agent_search, an_agent_that_announces_itself_is_not_looked_for)
{
	bench_run_container();
	bench_run_for(0.1);
	cr_expect_eq(fake.connects, 1);
}

static void expect_no_agent(void)
{
	struct answer answer;

	bench.settings->boot_timeout_ms = BOOT_MS;
	bench_serve(60000);
	answer = bench_create();
	cr_expect_eq(answer.err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect(strstr(answer.err.text, "no agent has announced itself within 3000 ms"), "%s",
	          answer.err.text);
	cr_expect_gt(fake.connects, 1);
}

Test(agent_search, an_agent_that_never_listens_meets_the_boots_deadline)
{
	fake.no_hello = true;
	expect_no_agent();
}

Test(agent_search, an_agent_that_never_serves_meets_the_boots_deadline)
{
	fake.upstream = true;
	fake.serves_after = UINT_MAX;
	expect_no_agent();
}

Test(agent_search, an_agent_that_never_says_what_it_can_do_meets_the_boots_deadline)
{
	fake.upstream = true;
	fake.fails = "GetGuestDetails";
	error_set(&fake.refusal, ERROR_INTERNAL, "not today");
	expect_no_agent();
}

Test(agent_search, a_stop_ends_the_search)
{
	struct answer answer;

	fake.upstream = true;
	fake.holds = "GetGuestDetails";
	bench_serve(60000);
	bench_ask_create(&answer);
	cr_assert(bench_wait_until(&fake.holding));
	service_stop(bench.pod.service);
	cr_assert(bench_wait_until(&answer.here));
	cr_expect_eq(answer.err.code, ERROR_UNAVAILABLE);
	cr_expect(bench_wait_until(&bench.ended));
}
