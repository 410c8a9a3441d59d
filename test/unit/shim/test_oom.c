/*
 * When a container runs out of memory.
 */
#include <criterion/criterion.h>

#include "fake_guest.h"
#include "service_bench.h"

TestSuite(oom, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

/* Now and then. */
static void wait_until_oom_is_asked_for(void)
{
	for (int i = 0; i < 2000 && !fake_oom_is_asked_for(); i++)
		bench_run_for(0.01);
	cr_assert(fake_oom_is_asked_for());
}

Test(oom, out_of_memory_is_told_each_time)
{
	bench_run_container();
	fake_oom("c");
	bench_settle();
	cr_expect(fake_logged("/tasks/oom"));
	*fake.log = '\0';
	wait_until_oom_is_asked_for();
	fake_oom("nobody");
	bench_settle();
	cr_expect_not(fake_logged("/tasks/oom"));
	wait_until_oom_is_asked_for();
	fake_oom("c");
	bench_settle();
	cr_expect(fake_logged("/tasks/oom"));
}

Test(oom, out_of_memory_between_two_questions_is_told_before_the_exit)
{
	bench_run_container();
	fake_oom("c");
	bench_settle();
	cr_expect_not(fake_oom_is_asked_for());
	*fake.log = '\0';
	fake.oom_at_exit = true;
	fake_exit("c", 137);
	bench_settle();
	cr_expect(fake_order("/tasks/oom", "/tasks/exit"));
}

Test(oom, a_guest_that_is_always_out_of_memory_tells_it_now_and_then)
{
	bench_run_container();
	for (int i = 0; i < 3; i++) {
		wait_until_oom_is_asked_for();
		fake_oom("c");
		bench_settle();
		cr_expect_not(fake_oom_is_asked_for(), "asked again at once");
	}
}
