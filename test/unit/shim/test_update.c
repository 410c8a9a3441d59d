/*
 * Update.
 */
#include <criterion/criterion.h>

#include "fake_guest.h"
#include "service_bench.h"

TestSuite(update, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(update, an_update_goes_to_the_guest)
{
	bench_run_container();
	cr_expect_eq(bench_update("{\"memory\":{\"limit\":1048576}}").err.code, ERROR_NONE);
	cr_expect_eq(fake.memory_limit, 1048576);
	bench_expect_refused(bench_update("{\"memory\":7}"), ERROR_INVALID_ARGUMENT,
	                     "resources: memory: expected object, found integer");
	fake_exit("c", 0);
	bench_settle();
	bench_expect_refused(bench_update("{}"), ERROR_FAILED_PRECONDITION,
	                     "cannot update a stopped container");
}

Test(update, an_update_under_way_is_answered_when_its_container_goes)
{
	struct answer updated;

	bench_run_container();
	fake.holds = "UpdateContainer";
	bench_ask_update(&updated, "{}");
	bench_settle();
	fake_exit("c", 0);
	bench_settle();
	cr_expect_eq(bench_delete("").err.code, ERROR_NONE);
	cr_assert(bench_wait_until(&updated.here));
	bench_expect_refused(updated, ERROR_NOT_FOUND, "process does not exist c: it was deleted");
}

Test(update, a_kill_works_beside_an_update_that_hangs)
{
	struct answer updated;

	bench_run_container();
	fake.holds = "UpdateContainer";
	bench_ask_update(&updated, "{}");
	bench_settle();
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	cr_expect_not(updated.here);
}
