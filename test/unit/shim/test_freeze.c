/*
 * Pause and Resume.
 */
#include <criterion/criterion.h>

#include "fake_guest.h"
#include "proto/task_v2.pb-c.h"
#include "service_bench.h"
#include "shim/config/config.h"

TestSuite(freeze, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(freeze, a_container_is_paused_and_resumed)
{
	bench_run_container();
	bench_expect_refused(bench_freeze("Resume"), ERROR_FAILED_PRECONDITION,
	                     "cannot resume a running process");
	cr_expect_eq(bench_freeze("Pause").err.code, ERROR_NONE);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__PAUSED);
	bench_expect_refused(bench_exec("e"), ERROR_FAILED_PRECONDITION,
	                     "cannot exec in a paused state");
	bench_expect_refused(bench_freeze("Pause"), ERROR_FAILED_PRECONDITION,
	                     "cannot pause a paused container");
	bench_expect_refused(bench_delete(""), ERROR_FAILED_PRECONDITION,
	                     "cannot delete a paused process");
	cr_expect_eq(bench_freeze("Resume").err.code, ERROR_NONE);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	cr_expect(fake_order("/tasks/paused", "/tasks/resumed"));
}

Test(freeze, a_paused_container_can_end)
{
	bench_run_container();
	bench_freeze("Pause");
	fake_exit("c", 137);
	bench_settle();
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__STOPPED);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(freeze, a_pause_that_the_guest_refuses_changes_nothing)
{
	bench_run_container();
	fake.fails = "PauseContainer";
	error_set(&fake.refusal, ERROR_INTERNAL, "no freezer");
	bench_expect_refused(bench_freeze("Pause"), ERROR_INTERNAL, "no freezer");
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	cr_expect_not(fake_logged("/tasks/paused"));
}

Test(freeze, a_pause_that_is_answered_too_late_is_undone)
{
	bench_run_container();
	bench.settings->agent_timeout_ms = 50;
	fake.holds = "PauseContainer";
	cr_expect_eq(bench_freeze("Pause").err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bench_settle();
	cr_expect(fake_order("PauseContainer c", "ResumeContainer c"));
}

Test(freeze, a_resume_that_is_answered_too_late_has_resumed)
{
	bench_run_container();
	bench_freeze("Pause");
	bench.settings->agent_timeout_ms = 50;
	fake.holds = "ResumeContainer";
	cr_expect_eq(bench_freeze("Resume").err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	cr_expect(fake_order("/tasks/paused", "/tasks/resumed"));
}
