/*
 * Calls about one process at a time: which wait for one another, and what becomes of those whose
 * process goes.
 */
#include <criterion/criterion.h>
#include <poll.h>

#include "fake_guest.h"
#include "service_bench.h"

TestSuite(turn, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(turn, a_call_whose_turn_comes_after_its_deadline_does_nothing)
{
	struct answer started, closed;

	bench_run_container();
	bench.fifos[0] = bench_make_fifo("exec-in");
	bench_exec("e");
	fake.holds = "ExecProcess";
	bench_ask_start(&started, "e");
	bench_settle();
	bench.timeout_ms = 20;
	bench_ask_close_io(&closed, "e");
	bench.timeout_ms = 0;
	cr_assert(bench_wait_until(&closed.here));
	cr_expect_eq(closed.err.code, ERROR_DEADLINE_EXCEEDED);
	bench_settle();
	fake_release();
	cr_assert(bench_wait_until(&started.here));
	bench_settle();
	cr_assert_geq(fake.streams[0].fd, 0);
	cr_expect_eq(poll(&(struct pollfd){ .fd = fake.streams[0].fd, .events = POLLIN }, 1, 0), 0,
	             "stdin has been closed");
}

Test(turn, calls_that_come_during_a_start_wait_for_its_end)
{
	struct answer started, closed;

	bench.fifos[0] = bench_make_fifo("in");
	bench_run_container();
	bench_exec("e");
	fake.holds = "ExecProcess";
	bench_ask_start(&started, "e");
	bench_settle();
	bench_ask_close_io(&closed, "e");
	bench_settle();
	cr_expect_not(closed.here);
	fake_release();
	cr_assert(bench_wait_until(&closed.here));
	cr_expect(started.here);
	cr_expect_eq(closed.err.code, ERROR_NONE);
}

Test(turn, an_exec_under_way_is_answered_when_its_container_goes)
{
	struct answer started, closed;

	bench_run_container();
	bench_exec("e");
	fake.holds = "ExecProcess";
	bench_ask_start(&started, "e");
	bench_settle();
	bench_ask_close_io(&closed, "e");
	fake_exit("c", 0);
	bench_settle();
	cr_expect_eq(bench_delete("").err.code, ERROR_NONE);
	cr_assert(bench_wait_until(&started.here));
	cr_assert(bench_wait_until(&closed.here));
	cr_expect_eq(started.err.code, ERROR_NOT_FOUND);
	bench_expect_refused(closed, ERROR_NOT_FOUND, "container not created");
}
