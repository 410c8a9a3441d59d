/*
 * Processes that are added to a container.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "common/mem.h"
#include "fake_guest.h"
#include "proto/google.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "service_bench.h"
#include "shim/config/config.h"

#define T(name) Containerd__Task__V2__##name

TestSuite(exec, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(exec, an_exec_is_added_started_ends_and_is_deleted)
{
	struct answer exit;

	bench_run_container();
	cr_expect_eq(bench_exec("e").err.code, ERROR_NONE);
	bench_expect_refused(bench_exec("e"), ERROR_ALREADY_EXISTS, "id e");
	bench_expect_refused(bench_kill("c", "e", 15), ERROR_FAILED_PRECONDITION,
	                     "process not created");
	cr_expect_eq(bench_start("e").pid, FAKE_PID + 1);
	cr_expect(fake_order("/tasks/exec-added", "ExecProcess c"));
	cr_expect(fake_order("ExecProcess c", "/tasks/exec-started"));
	cr_expect_eq(bench_kill("c", "e", 15).err.code, ERROR_NONE);
	cr_expect(fake_logged("SignalProcess c.e 15"));
	bench_ask_wait(&exit, "e");
	bench_settle();
	fake_exit("c.e", 5);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 5);
	cr_expect(fake_order("/tasks/exec-started", "/tasks/exit e"));
	cr_expect_eq(bench_delete("e").status, 5);
	bench_expect_refused(bench_delete("e"), ERROR_NOT_FOUND, "process does not exist e");
	cr_expect_not(fake_logged("/tasks/delete"));
}

Test(exec, an_exec_may_have_the_id_of_its_container)
{
	bench_run_container();
	bench_exec("c");
	bench_start("c");
	bench_kill("c", "", 15);
	cr_expect(fake_logged("SignalProcess c 15"));
	bench_kill("c", "c", 15);
	cr_expect(fake_logged("SignalProcess c.c 15"));
}

Test(exec, an_exec_without_capabilities_has_the_containers)
{
	pod_bench_write_config(
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\","
		"\"capabilities\":{\"effective\":[\"CAP_CHOWN\"]}},"
		"\"root\":{\"path\":\"rootfs\"},"
		"\"linux\":{\"namespaces\":[{\"type\":\"network\"}]}}");
	bench_run_container();
	bench_exec("e");
	bench_start("e");
	cr_expect_str_eq(fake.capability, "CAP_CHOWN");
}

Test(exec, an_exec_with_an_id_that_is_in_use_is_refused_before_its_spec_is_read)
{
	bench_run_container();
	bench_exec("e");
	bench.exec_spec = "{\"args\":[]}";
	bench_expect_refused(bench_exec("e"), ERROR_ALREADY_EXISTS, "id e");
	cr_expect_eq(bench_exec("f").err.code, ERROR_INVALID_ARGUMENT);
}

Test(exec, an_exec_that_does_not_start_is_stopped_without_an_exit)
{
	bench_run_container();
	bench_exec("e");
	fake.fails = "ExecProcess";
	error_set(&fake.refusal, ERROR_NOT_FOUND,
	          "exec: \"x\": executable file not found in $PATH");
	bench_expect_refused(bench_start("e"), ERROR_UNKNOWN,
	                     "exec: \"x\": executable file not found in $PATH");
	cr_expect_eq(bench_state("e").state, CONTAINERD__V1__TYPES__STATUS__STOPPED);
	cr_expect_not(fake_logged("/tasks/exit e"));
	cr_expect_eq(bench_delete("e").err.code, ERROR_NONE);
}

Test(exec, an_exec_whose_stdin_cannot_be_opened_is_not_started)
{
	autofree char *file = mem_printf("%s/config.json", fake.dir);

	bench_run_container();
	bench.fifos[0] = file;
	bench_exec("e");
	cr_expect_eq(bench_start("e").err.code, ERROR_INVALID_ARGUMENT);
	cr_expect_eq(bench_state("e").state, CONTAINERD__V1__TYPES__STATUS__STOPPED);
	bench_settle();
	cr_expect_not(fake_logged("ExecProcess c"), "it runs in the guest, unwatched");
	cr_expect_eq(bench_delete("e").err.code, ERROR_NONE);
}

Test(exec, an_exec_that_is_answered_too_late_is_killed)
{
	bench_run_container();
	bench.fifos[1] = bench_make_fifo("exec-out");
	bench_exec("e");
	bench.settings->agent_timeout_ms = 50;
	fake.holds = "ExecProcess";
	cr_expect_eq(bench_start("e").err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_eq(fake.streams[0].fd, -1, "its output has not ended");
	cr_expect_eq(bench_state("e").state, CONTAINERD__V1__TYPES__STATUS__STOPPED);
	fake_release();
	bench_settle();
	cr_expect(fake_order("ExecProcess c", "SignalProcess c.e 9"));
	cr_expect_eq(bench_delete("e").err.code, ERROR_NONE);
}

Test(exec, a_size_that_comes_before_an_exec_is_its_first)
{
	T(ResizePtyRequest) request = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;

	bench.fifos[0] = bench_make_fifo("in");
	bench.fifos[1] = bench_make_fifo("out");
	bench.terminal = true;
	bench_run_container();
	bench_exec("e");
	request.id = "c";
	request.exec_id = "e";
	request.width = 77;
	request.height = 33;
	bench_get("ResizePty", &request, &google__protobuf__empty__descriptor);
	bench_start("e");
	cr_expect_eq(fake.size[0], 33);
	cr_expect_eq(fake.size[1], 77);
	bench_get("ResizePty", &request, &google__protobuf__empty__descriptor);
	cr_expect(fake_logged("TtyWinResize c"));
}

Test(exec, pids_name_the_execs)
{
	T(PidsRequest) request = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;
	struct answer answer;

	bench_run_container();
	bench_exec("e");
	bench_start("e");
	request.id = "c";
	answer = bench_get("Pids", &request, &containerd__task__v2__pids_response__descriptor);
	cr_expect_eq(answer.n_pids, 2);
	cr_expect(answer.last_pid_is_exec);
}

/* Each of them is waited for in the guest. */
Test(exec, a_container_with_many_execs_is_killed_and_deleted_as_ever)
{
	char id[20];

	bench_run_container();
	for (int i = 0; i < 1100; i++) {
		snprintf(id, sizeof(id), "e%d", i);
		cr_assert_eq(bench_exec(id).err.code, ERROR_NONE);
		cr_assert_eq(bench_start(id).err.code, ERROR_NONE);
	}
	cr_expect_eq(bench_state("e1099").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	cr_expect_eq(bench_stats().err.code, ERROR_NONE);
	cr_expect_eq(bench_kill("c", "e7", 15).err.code, ERROR_NONE);
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	cr_expect_eq(bench_delete("").status, 137);
}
