/*
 * Wait: many, abandoned, or past its deadline.
 */
#include <criterion/criterion.h>

#include "fake_guest.h"
#include "proto/task_v2.pb-c.h"
#include "service_bench.h"

#define T(name) Containerd__Task__V2__##name

TestSuite(wait, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

/* Each `ctr task attach` that is killed leaves one on the one connection of containerd. */
Test(wait, abandoned_waits_leave_room_for_kill_and_delete)
{
	static struct answer waits[5000];

	bench_run_container();
	for (size_t i = 0; i < 5000; i++)
		bench_ask_wait(&waits[i], "");
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	cr_expect_eq(bench_delete("").status, 137);
	for (size_t i = 0; i < 5000; i++) {
		cr_assert(waits[i].here);
		cr_assert_eq(waits[i].status, 137);
	}
}

Test(wait, a_wait_past_its_deadline_is_dropped)
{
	T(WaitRequest) request = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
	struct answer answer = { 0 };

	bench_run_container();
	request.id = "c";
	bench.timeout_ms = 20;
	bench_ask(&answer, "Wait", &request.base, &containerd__task__v2__wait_response__descriptor);
	bench.timeout_ms = 0;
	cr_assert(bench_wait_until(&answer.here));
	cr_expect_eq(answer.err.code, ERROR_DEADLINE_EXCEEDED);
	bench_settle();
	fake_exit("c", 0);
	cr_expect_eq(bench_delete("").status, 0);
}
