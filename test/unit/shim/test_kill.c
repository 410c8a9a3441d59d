/*
 * Kill, of one process and of all, and what is killed by Delete.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_guest.h"
#include "proto/google.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "service_bench.h"
#include "shim/config/config.h"

#define T(name) Containerd__Task__V2__##name

TestSuite(kill, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(kill, a_guest_that_does_not_answer_to_sigkill_is_ended)
{
	struct answer exit;

	bench.settings->kill_timeout_ms = 50;
	bench_run_container();
	bench_ask_wait(&exit, "");
	fake.holds = "SignalProcess";
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect(fake_order("vm_stop", "/tasks/exit c"));
	cr_expect_eq(bench_delete("").status, 137);
	cr_expect_not(fake_logged("RemoveContainer c"));
}

Test(kill, a_guest_that_kills_nothing_is_ended)
{
	struct answer exit;

	bench.settings->kill_timeout_ms = 50;
	bench_run_container();
	bench_ask_wait(&exit, "");
	fake.survives = true;
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(kill, what_was_created_and_cannot_be_killed_is_deleted_all_the_same)
{
	bench.settings->kill_timeout_ms = 50;
	bench_serve(60000);
	bench_create();
	fake.holds = "SignalProcess";
	cr_expect_eq(bench_delete("").status, 137);
	cr_expect(fake_order("vm_stop", "/tasks/exit c"));
}

Test(kill, a_kill_in_time_ends_no_machine)
{
	bench.settings->kill_timeout_ms = 50;
	bench_run_container();
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	bench_settle();
	bench_settle();
	cr_expect_not(fake_logged("vm_stop"));
	cr_expect_eq(bench_delete("").status, 137);
}

Test(kill, what_was_created_and_never_started_is_killed_by_delete)
{
	bench_serve(60000);
	bench_create();
	cr_expect_eq(bench_delete("").status, 137);
	cr_expect(fake_order("SignalProcess  9\n", "/tasks/exit c"));
	cr_expect(fake_order("/tasks/exit c", "/tasks/delete"));
	cr_expect_eq(fake.mounts, 0);
}

Test(kill, a_kill_of_all_reaches_the_container_and_one_of_an_exec_the_exec)
{
	bench_run_container();
	bench_exec("e");
	bench_start("e");
	bench_kill_all("", 15);
	cr_expect(fake_logged("SignalProcess  15 all"), "%s", fake.log);
	bench_kill_all("e", 9);
	cr_expect(fake_logged("SignalProcess c.e 9"), "%s", fake.log);
	bench_settle();
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
}

Test(kill, an_agent_without_a_word_for_it_gets_no_signal_to_all_but_sigkill)
{
	struct answer refused;

	fake.upstream = true;
	bench_run_container();
	refused = bench_kill_all("", 15);
	cr_expect_eq(refused.err.code, ERROR_UNIMPLEMENTED);
	cr_expect(strstr(refused.err.text,
	                 "SignalProcessRequest.all: not supported by the guest's agent"),
	          "%s", refused.err.text);
	cr_expect_not(fake_logged("SignalProcess  15 all"));
	cr_expect_eq(bench_kill("c", "", 15).err.code, ERROR_NONE);
	cr_expect(fake_logged("SignalProcess c 15"));
	cr_expect_eq(bench_kill_all("", 9).err.code, ERROR_NONE);
	cr_expect(fake_logged("SignalProcess  9"));
	bench_settle();
	cr_expect_eq(bench_delete("").status, 137);
}

Test(kill, what_is_left_of_an_ended_init_is_killed_and_resized_in_vain)
{
	T(ResizePtyRequest) resize = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;

	resize.id = "c";
	bench_run_container();
	fake_exit("c", 0);
	bench_settle();
	cr_expect_eq(bench_kill_all("", 9).err.code, ERROR_NONE);
	cr_expect_eq(bench_get("ResizePty", &resize, &google__protobuf__empty__descriptor).err.code,
	             ERROR_NONE);
	bench_expect_refused(bench_kill("c", "", 9), ERROR_NOT_FOUND, "process already finished");
}
