#include "shim/server/service.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "fake_guest.h"
#include "proto/google.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "proto/ttrpc/ttrpc_client.h"
#include "service_bench.h"
#include "shim/config/config.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/vm_size.h"

#define T(name) Containerd__Task__V2__##name

TestSuite(service, .init = bench_setup, .fini = bench_teardown, .timeout = 30);

Test(service, a_container_is_created_started_ends_and_is_deleted)
{
	struct answer answer, exit;

	bench_serve(60000);
	answer = bench_create();
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	cr_expect_eq(answer.pid, FAKE_VM_PID);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__CREATED);
	bench_ask_wait(&exit, "");
	cr_expect_eq(bench_start("").pid, FAKE_VM_PID);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	fake_exit("c", 7);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 7);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__STOPPED);
	cr_expect_eq(bench_delete("").status, 7);
	cr_expect(fake_order("mount\n", "CreateContainer c"));
	cr_expect(fake_order("/tasks/create", "/tasks/start"));
	cr_expect(fake_order("/tasks/start", "/tasks/exit c"));
	cr_expect(fake_order("/tasks/exit c", "/tasks/delete"));
	cr_expect(fake_order("RemoveContainer c", "unmount"));
	cr_expect_eq(bench_shutdown().err.code, ERROR_NONE);
	cr_expect(bench_wait_until(&bench.ended));
	cr_expect(fake_order("DestroySandbox", "vm_stop"));
	cr_expect_eq(fake.vms, 0);
	cr_expect_eq(fake.mounts, 0);
}

Test(service, tells_that_the_pod_ends_before_the_guest_is_asked_to)
{
	bench_run_container();
	fake_exit("c", 0);
	bench_settle();
	cr_expect_not(bench.ending);
	fake.holds = "DestroySandbox";
	bench_delete("");
	bench_settle();
	cr_expect(bench.ending);
	cr_expect_not(bench.ended);
	fake_release();
	bench_shutdown();
	cr_expect(bench_wait_until(&bench.ended));
}

static struct answer create_with_options(const char *type)
{
	T(CreateTaskRequest) request = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any options = GOOGLE__PROTOBUF__ANY__INIT;

	options.type_url = (char *)type;
	request.id = "c";
	request.bundle = fake.dir;
	request.options = &options;
	return bench_get("Create", &request,
	                 &containerd__task__v2__create_task_response__descriptor);
}

Test(service, create_takes_options_that_are_ours)
{
	bench_serve(60000);
	cr_expect_eq(create_with_options("runtimeoptions.v1.Options").err.code, ERROR_NONE);
}

Test(service, create_refuses_options_of_another_runtime)
{
	bench_serve(60000);
	bench_expect_refused(
		create_with_options("containerd.runc.v1.Options"), ERROR_INVALID_ARGUMENT,
		"runtime options of type 'containerd.runc.v1.Options' are runc's, as those "
		"of ctr's --no-pivot and --uidmap: expected runtimeoptions.v1.Options");
	cr_expect_eq(fake.mounts, 0);
}

Test(service, version_3_is_served_alike)
{
	bench.version = "v3";
	bench_run_container();
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
}

Test(service, ends_without_a_shutdown_that_never_comes)
{
	bench_run_container();
	fake_exit("c", 0);
	bench_settle();
	bench_delete("");
	cr_expect(bench_wait_until(&bench.ended));
}

Test(service, an_exit_before_the_answer_to_start_is_told_after_it)
{
	struct answer answer, exit;

	bench_serve(60000);
	bench_create();
	bench_ask_wait(&exit, "");
	fake.holds = "StartContainer";
	bench_ask_start(&answer, "");
	bench_settle();
	fake_exit("c", 3);
	bench_settle();
	cr_expect_not(exit.here);
	fake_release();
	cr_assert(bench_wait_until(&exit.here));
	cr_expect(answer.here);
	cr_expect_eq(exit.status, 3);
	cr_expect(fake_order("/tasks/start", "/tasks/exit c"));
}

Test(service, what_the_guest_refuses_to_create_fails_create_and_ends_the_pod)
{
	struct answer answer;

	bench_serve(60000);
	fake.fails = "CreateContainer";
	error_set(&fake.refusal, ERROR_NOT_FOUND,
	          "exec: \"nosuch\": executable file not found in $PATH");
	answer = bench_create();
	bench_expect_refused(answer, ERROR_UNKNOWN,
	                     "exec: \"nosuch\": executable file not found in $PATH");
	cr_expect_eq(fake.mounts, 0);
	bench_expect_refused(bench_delete(""), ERROR_NOT_FOUND, "container not created");
	cr_expect_eq(bench_shutdown().err.code, ERROR_NONE);
	cr_expect(bench_wait_until(&bench.ended));
}

/* containerd tries again by the older API when the first answer is Unimplemented. */
Test(service, a_create_that_is_tried_again_has_the_first_cause)
{
	bench.version = "v3";
	bench_serve(60000);
	fake.fails = "CreateContainer";
	error_set(&fake.refusal, ERROR_UNIMPLEMENTED, "linux.uidMappings: not supported");
	bench_expect_refused(bench_create(), ERROR_UNIMPLEMENTED,
	                     "linux.uidMappings: not supported");
	fake.fails = NULL;
	bench.version = "v2";
	bench_expect_refused(bench_create(), ERROR_UNIMPLEMENTED,
	                     "linux.uidMappings: not supported");
	bench_shutdown();
	cr_expect(bench_wait_until(&bench.ended));
}

Test(service, a_vm_that_cannot_start_is_told_by_create)
{
	fake.vm_refuses = "kernel '/nosuch': No such file or directory";
	bench_serve(60000);
	bench_settle();
	bench_expect_refused(
		bench_create(), ERROR_NOT_FOUND,
		"boot the virtual machine: kernel '/nosuch': No such file or directory");
	bench_shutdown();
	cr_expect(bench_wait_until(&bench.ended));
}

Test(service, a_guest_that_dies_while_booting_is_told_with_its_last_words)
{
	struct answer answer;

	fake.boot_dies = "QEMU exited with status 1";
	bench_serve(60000);
	answer = bench_create();
	bench_expect_refused(answer, ERROR_UNKNOWN,
	                     "boot the virtual machine: QEMU exited with status 1; the console's "
	                     "last lines: last | words");
	cr_expect_eq(fake.mounts, 0);
	bench_shutdown();
	cr_expect(bench_wait_until(&bench.ended));
}

Test(service, the_death_of_the_vm_is_137_and_delete_works)
{
	struct answer exit;

	bench_run_container();
	bench_exec("e");
	bench_start("e");
	bench_ask_wait(&exit, "");
	bench_settle();
	fake_kill_vm("QEMU was killed by signal 9 (Killed)");
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect(fake_order("/tasks/exit e", "/tasks/exit c"));
	bench_expect_refused(bench_kill("c", "", 9), ERROR_NOT_FOUND, "process already finished");
	cr_expect_eq(bench_delete("").status, 137);
	cr_expect_eq(fake.mounts, 0);
	cr_expect_not(fake_logged("RemoveContainer c"));
	bench_shutdown();
	cr_expect(bench_wait_until(&bench.ended));
}

Test(service, a_guest_that_does_not_answer_to_sigkill_is_ended)
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

Test(service, a_guest_that_kills_nothing_is_ended)
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

Test(service, what_was_created_and_cannot_be_killed_is_deleted_all_the_same)
{
	bench.settings->kill_timeout_ms = 50;
	bench_serve(60000);
	bench_create();
	fake.holds = "SignalProcess";
	cr_expect_eq(bench_delete("").status, 137);
	cr_expect(fake_order("vm_stop", "/tasks/exit c"));
}

/* Its last steps end at once, when those who wait for the exit are being told of it. */
Test(service, a_delete_that_the_machines_end_brings_to_its_end_tells_all_who_wait)
{
	struct answer before, deleted, after;

	bench_serve(60000);
	bench_create();
	bench_ask_wait(&before, "");
	fake.holds = "SignalProcess";
	bench_ask_delete(&deleted);
	bench_settle();
	bench_ask_wait(&after, "");
	bench_settle();
	fake.unmount_fails = true;
	fake_kill_vm("QEMU is gone");
	cr_assert(bench_wait_until(&deleted.here));
	cr_expect_eq(deleted.status, 137);
	cr_expect(before.here && before.status == 137);
	cr_expect(after.here && after.status == 137);
}

Test(service, a_kill_in_time_ends_no_machine)
{
	bench.settings->kill_timeout_ms = 50;
	bench_run_container();
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	bench_settle();
	bench_settle();
	cr_expect_not(fake_logged("vm_stop"));
	cr_expect_eq(bench_delete("").status, 137);
}

Test(service, the_death_of_the_vm_during_start_ends_it_too)
{
	struct answer answer, exit;

	bench_serve(60000);
	bench_create();
	bench_ask_wait(&exit, "");
	fake.holds = "StartContainer";
	bench_ask_start(&answer, "");
	bench_settle();
	fake_kill_vm("QEMU is gone");
	cr_assert(bench_wait_until(&exit.here));
	cr_expect(answer.here);
	cr_expect(strstr(answer.err.text, "QEMU is gone"), "%s", answer.err.text);
	cr_expect_eq(exit.status, 137);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(service, the_death_of_the_vm_during_create_is_its_cause)
{
	struct answer answer;

	bench_serve(60000);
	fake.holds = "CreateContainer";
	bench_ask_create(&answer);
	bench_settle();
	fake_kill_vm("QEMU was killed by signal 9 (Killed)");
	cr_assert(bench_wait_until(&answer.here));
	cr_expect(strstr(answer.err.text, "killed by signal 9"), "%s", answer.err.text);
	cr_expect_eq(fake.mounts, 0);
}

/* The loss of the agent alone says nothing: its VM is about to say what it died of. */
static void expect_cause(struct answer *answer)
{
	bench_settle();
	fake_lose_agent();
	bench_settle();
	fake_kill_vm("QEMU was killed by signal 9 (Killed)");
	cr_assert(bench_wait_until(&answer->here));
	cr_expect(strstr(answer->err.text, "killed by signal 9"), "%s", answer->err.text);
}

Test(service, create_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_serve(60000);
	fake.holds = "CreateContainer";
	bench_ask_create(&answer);
	expect_cause(&answer);
	cr_expect_eq(fake.mounts, 0);
}

Test(service, start_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_serve(60000);
	bench_create();
	fake.holds = "StartContainer";
	bench_ask_start(&answer, "");
	expect_cause(&answer);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(service, start_of_an_exec_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_run_container();
	bench_exec("e");
	fake.holds = "ExecProcess";
	bench_ask_start(&answer, "e");
	expect_cause(&answer);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(service, update_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_run_container();
	fake.holds = "UpdateContainer";
	bench_ask_update(&answer, "{}");
	expect_cause(&answer);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(service, kill_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_run_container();
	fake.holds = "SignalProcess";
	bench_ask_kill(&answer, 15);
	expect_cause(&answer);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(service, what_the_agent_cannot_do_now_is_its_own_answer)
{
	struct answer answer;

	fake.fails = "StartContainer";
	error_set(&fake.refusal, ERROR_UNAVAILABLE, "not now");
	bench_serve(60000);
	bench_create();
	answer = bench_start("");
	bench_expect_refused(answer, ERROR_UNAVAILABLE, "not now");
}

/* containerd, killed meanwhile, comes back and knows nothing of it. */
Test(service, a_container_whose_create_nobody_waits_for_goes)
{
	struct answer answer;

	bench_serve(60000);
	fake.holds = "CreateContainer";
	bench_ask_create(&answer);
	bench_settle();
	ttrpc_client_destroy(take_ptr(&bench.client));
	bench_settle();
	fake_release();
	cr_expect(bench_wait_until(&bench.ended));
	cr_expect(fake_logged("RemoveContainer c"));
	cr_expect_not(fake_logged("/tasks/create"));
	cr_expect_not(fake_logged("/tasks/exit c"), "of what was never announced");
	cr_expect_eq(fake.mounts, 0);
}

Test(service, ends_when_no_create_comes)
{
	bench_serve(20);
	cr_expect(bench_wait_until(&bench.ended));
	cr_expect_eq(fake.vms, 0);
}

Test(service, nobody_is_served_after_the_end)
{
	bench_serve(20);
	cr_assert(bench_wait_until(&bench.ended));
	service_stop(bench.pod.service); /* of no use any more */
	bench_settle();
	cr_expect_lt(pod_bench_connect(0), 0);
	cr_expect_eq(errno, ECONNREFUSED);
}

Test(service, a_stop_ends_every_process_with_137)
{
	bench_run_container();
	service_stop(bench.pod.service);
	cr_expect(bench_wait_until(&bench.ended));
	cr_expect_eq(fake.exit_status, 137);
	cr_expect(fake_logged("/tasks/exit c"));
}

Test(service, a_stop_while_it_boots_fails_create)
{
	struct answer answer;

	fake.no_hello = true;
	bench_serve(60000);
	bench_ask_create(&answer);
	bench_settle();
	service_stop(bench.pod.service);
	cr_assert(bench_wait_until(&answer.here));
	cr_expect_eq(answer.err.code, ERROR_UNAVAILABLE);
	cr_expect(bench_wait_until(&bench.ended));
}

Test(service, a_stop_while_it_mounts_fails_create_alike)
{
	struct answer answer;

	fake.no_hello = true;
	bench_serve(60000);
	bench_ask_create(&answer);
	bench_run_for(0.001);
	service_stop(bench.pod.service);
	cr_assert(bench_wait_until(&answer.here));
	cr_expect_eq(answer.err.code, ERROR_UNAVAILABLE, "%s", answer.err.text);
	cr_expect(bench_wait_until(&bench.ended));
}

Test(service, what_is_not_there_is_not_found)
{
	bench_run_container();
	bench_expect_refused(bench_kill("x", "", 9), ERROR_NOT_FOUND, "container not created");
	bench_expect_refused(bench_kill("c", "x", 9), ERROR_NOT_FOUND, "process does not exist x");
}

Test(service, what_a_state_does_not_allow_is_refused)
{
	bench_run_container();
	bench_expect_refused(bench_create(), ERROR_ALREADY_EXISTS,
	                     "container with given ID already exists");
	bench_expect_refused(bench_start(""), ERROR_FAILED_PRECONDITION,
	                     "cannot start a running process");
	bench_expect_refused(bench_delete(""), ERROR_FAILED_PRECONDITION,
	                     "cannot delete a running process");
	fake_exit("c", 0);
	bench_settle();
	bench_expect_refused(bench_exec("e"), ERROR_FAILED_PRECONDITION,
	                     "cannot exec in a stopped state");
	bench_expect_refused(bench_start(""), ERROR_FAILED_PRECONDITION,
	                     "cannot start a stopped process");
}

Test(service, shutdown_does_nothing_while_there_is_a_container)
{
	bench_run_container();
	cr_expect_eq(bench_shutdown().err.code, ERROR_NONE);
	bench_settle();
	cr_expect_not(bench.ended);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
}

Test(service, what_was_created_and_never_started_is_killed_by_delete)
{
	bench_serve(60000);
	bench_create();
	cr_expect_eq(bench_delete("").status, 137);
	cr_expect(fake_order("SignalProcess  9 all", "/tasks/exit c"));
	cr_expect(fake_order("/tasks/exit c", "/tasks/delete"));
	cr_expect_eq(fake.mounts, 0);
}

Test(service, an_exec_is_added_started_ends_and_is_deleted)
{
	struct answer exit;

	bench_run_container();
	cr_expect_eq(bench_exec("e").err.code, ERROR_NONE);
	bench_expect_refused(bench_exec("e"), ERROR_ALREADY_EXISTS, "id e");
	bench_expect_refused(bench_kill("c", "e", 15), ERROR_FAILED_PRECONDITION,
	                     "process not created");
	cr_expect_eq(bench_start("e").pid, FAKE_VM_PID);
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

Test(service, an_exec_may_have_the_id_of_its_container)
{
	bench_run_container();
	bench_exec("c");
	bench_start("c");
	bench_kill("c", "", 15);
	cr_expect(fake_logged("SignalProcess c 15"));
	bench_kill("c", "c", 15);
	cr_expect(fake_logged("SignalProcess c.c 15"));
}

Test(service, a_kill_of_all_reaches_the_container_and_one_of_an_exec_the_exec)
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

Test(service, an_exec_without_capabilities_has_the_containers)
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

Test(service, an_exec_with_an_id_that_is_in_use_is_refused_before_its_spec_is_read)
{
	bench_run_container();
	bench_exec("e");
	bench.exec_spec = "{\"args\":[]}";
	bench_expect_refused(bench_exec("e"), ERROR_ALREADY_EXISTS, "id e");
	cr_expect_eq(bench_exec("f").err.code, ERROR_INVALID_ARGUMENT);
}

Test(service, an_exec_that_does_not_start_is_stopped_without_an_exit)
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

Test(service, an_exec_whose_stdin_cannot_be_opened_is_not_started)
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

Test(service, an_exec_that_is_answered_too_late_is_killed)
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

/* Each of them is waited for in the guest. */
Test(service, a_container_with_many_execs_is_killed_and_deleted_as_ever)
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

/* Each `ctr task attach` that is killed leaves one on the one connection of containerd. */
Test(service, abandoned_waits_leave_room_for_kill_and_delete)
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

Test(service, a_wait_past_its_deadline_is_dropped)
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

Test(service, a_call_whose_turn_comes_after_its_deadline_does_nothing)
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

Test(service, pids_are_the_vmms_and_name_the_execs)
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

Test(service, connect_tells_the_pid)
{
	T(ConnectRequest) request = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;

	bench_run_container();
	request.id = "c";
	cr_expect_eq(
		bench_get("Connect", &request, &containerd__task__v2__connect_response__descriptor)
			.pid,
		FAKE_VM_PID);
}

Test(service, calls_that_come_during_a_start_wait_for_its_end)
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

Test(service, an_exec_under_way_is_answered_when_its_container_goes)
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

Test(service, streams_go_to_the_guest_by_their_ports)
{
	bench.fifos[0] = bench_make_fifo("in");
	bench.fifos[1] = bench_make_fifo("out");
	bench.fifos[2] = bench_make_fifo("err");
	bench_run_container();
	cr_assert_eq(fake.n_streams, 3);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(fake.ports[i], fake.streams[i].port);
	cr_assert_eq(write(fake.streams[1].fd, "x", 1), 1);
}

Test(service, a_terminal_has_no_stderr)
{
	bench.fifos[0] = bench_make_fifo("in");
	bench.fifos[1] = bench_make_fifo("out");
	bench.terminal = true;
	bench_run_container();
	cr_expect_eq(fake.n_streams, 2);
	cr_expect_eq(fake.ports[2], 0);
}

Test(service, stdin_is_read_after_start_and_ends_by_close_io)
{
	struct pollfd poll_in;
	struct answer closed;
	char byte;
	int writer;

	bench.fifos[0] = bench_make_fifo("in");
	bench_serve(60000);
	bench_create();
	writer = open(bench.fifos[0], O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(writer, 0, "nobody has opened it for reading");
	cr_expect_eq(fake.streams[0].fd, -1);
	bench_start("");
	cr_assert_geq(fake.streams[0].fd, 0);
	cr_assert_eq(write(writer, "x", 1), 1);
	close(writer);
	cr_expect_eq(read(fake.streams[0].fd, &byte, 1), 1);
	cr_expect_eq(read(fake.streams[0].fd, &byte, 1), -1, "it has not been closed");
	bench_ask_close_io(&closed, "");
	cr_assert(bench_wait_until(&closed.here));
	poll_in = (struct pollfd){ .fd = fake.streams[0].fd, .events = POLLIN };
	cr_expect_eq(poll(&poll_in, 1, 0), 1);
	cr_expect_eq(read(fake.streams[0].fd, &byte, 1), 0);
}

/* A container with a FIFO for stdout, which is returned open for reading. */
static int run_with_output(void)
{
	int reader;

	bench.fifos[1] = bench_make_fifo("out");
	reader = open(bench.fifos[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(reader, 0);
	bench_run_container();
	return reader;
}

/* As the device does, which says so when it is asked, or at the end. */
static void write_output(size_t len)
{
	static const char bytes[4096];

	cr_assert_eq(write(fake.streams[0].fd, bytes, len), (ssize_t)len);
	fake.streams[0].progress.moved += len;
}

static void read_output(int reader, size_t len)
{
	char bytes[4096];

	cr_assert_eq(read(reader, bytes, len), (ssize_t)len);
}

Test(service, an_exit_is_told_when_its_output_has_been_read)
{
	int reader = run_with_output();
	struct answer exit;

	bench.settings->stdio_exit_timeout_ms = 60000;
	bench_ask_wait(&exit, "");
	write_output(1000);
	fake_exit("c", 7);
	fake_stream_done(0);
	bench_run_for(0.1);
	cr_expect_not(exit.here);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	cr_expect_eq(bench_state("").status, 0);
	cr_expect_not(fake_logged("/tasks/exit c"));
	read_output(reader, 999);
	bench_run_for(0.1);
	cr_expect_not(exit.here);
	read_output(reader, 1);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 7);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__STOPPED);
	cr_expect(fake_logged("/tasks/exit c"));
	close(reader);
}

Test(service, an_exit_waits_for_output_that_is_on_its_way)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	fake.tells_written = true;
	fake.written = 1000;
	fake_exit("c", 7);
	bench_run_for(0.1);
	cr_expect_not(exit.here);
	write_output(1000);
	bench_run_for(0.3); /* the device is asked now and then */
	cr_expect_not(exit.here);
	read_output(reader, 1000);
	cr_expect(bench_wait_until(&exit.here));
	close(reader);
}

/* A child in the background, say. */
Test(service, an_exit_does_not_wait_for_who_keeps_the_stream_open)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	read_output(reader, 1000);
	fake.tells_written = true;
	fake.written = 1000;
	bench.settings->stdio_exit_timeout_ms = 60000;
	bench.settings->stdio_stall_timeout_ms = 60000;
	fake_exit("c", 7);
	cr_expect(bench_wait_until(&exit.here));
	cr_expect_not(fake.streams[0].done);
	close(reader);
}

Test(service, an_exit_does_not_wait_for_a_reader_that_stands_still)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	bench.settings->stdio_exit_timeout_ms = 100;
	bench.settings->stdio_stall_timeout_ms = 60000;
	fake_exit("c", 7);
	fake_stream_done(0);
	cr_expect(bench_wait_until(&exit.here));
	read_output(reader, 1000);
	close(reader);
}

/* What comes after the exit is a child's, and no sign that what came before it will be read. */
Test(service, an_exit_does_not_wait_for_a_reader_that_stands_still_while_a_child_writes)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	fake.tells_written = true;
	fake.written = 1000;
	bench.settings->stdio_exit_timeout_ms = 200;
	bench.settings->stdio_stall_timeout_ms = 60000;
	read_output(reader, 7);
	fake_exit("c", 7);
	for (int i = 0; i < 40 && !exit.here; i++) {
		cr_assert_eq(write(fake.streams[0].fd, "c", 1), 1);
		bench_run_for(0.03); /* the FIFO is ahead of what the device has said */
		fake.streams[0].progress.moved++;
		bench_run_for(0.03);
	}
	cr_expect(exit.here);
	close(reader);
}

Test(service, an_exit_waits_for_as_long_as_somebody_reads)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	bench.settings->stdio_exit_timeout_ms = 200;
	fake_exit("c", 7);
	fake_stream_done(0);
	for (int i = 0; i < 10; i++) {
		bench_run_for(0.05);
		cr_expect_not(exit.here, "after %d reads", i);
		read_output(reader, 100);
	}
	cr_expect(bench_wait_until(&exit.here));
	close(reader);
}

Test(service, a_reader_that_has_read_and_gone_is_not_waited_for)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	read_output(reader, 1);
	close(reader);
	bench.settings->stdio_exit_timeout_ms = 60000;
	bench.settings->stdio_stall_timeout_ms = 60000;
	bench.settings->stdio_drain_timeout_ms = 60000;
	fake_exit("c", 7);
	fake_stream_done(0);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(bench_delete("").err.code, ERROR_NONE);
}

/* The guest says that it has ended, and goes on writing. */
Test(service, a_kill_ends_what_an_exit_waits_for)
{
	int reader = run_with_output();
	struct answer exit;

	bench.settings->kill_timeout_ms = 300;
	bench.settings->stdio_stall_timeout_ms = 60000;
	bench_ask_wait(&exit, "");
	fake.tells_written = true;
	fake.written = 1000;
	fake_exit("c", 7);
	bench_settle();
	bench_kill("c", "", 9);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 7);
	cr_expect_eq(fake.vms, 1);
	close(reader);
}

Test(service, an_exit_that_waits_is_told_when_its_pod_goes)
{
	int reader = run_with_output();
	struct answer exit;

	bench.settings->stdio_exit_timeout_ms = 60000;
	bench_ask_wait(&exit, "");
	write_output(1000);
	fake_exit("c", 7);
	fake_stream_done(0);
	bench_settle();
	service_stop(bench.pod.service);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 7);
	cr_expect(fake_logged("/tasks/exit c"));
	close(reader);
}

Test(service, delete_waits_for_the_last_output)
{
	int reader = run_with_output();
	struct answer deleted;

	fake.tells_written = true;
	fake_exit("c", 0);
	bench_settle();
	bench_ask_delete(&deleted);
	bench_settle();
	cr_expect_not(deleted.here);
	fake_stream_done(0);
	cr_expect(bench_wait_until(&deleted.here));
	close(reader);
}

Test(service, delete_does_not_wait_for_output_that_stands_still)
{
	int reader = run_with_output();

	bench.settings->stdio_stall_timeout_ms = 500;
	fake.tells_written = true;
	fake_exit("c", 0);
	bench_settle();
	cr_expect_eq(bench_delete("").err.code, ERROR_NONE);
	close(reader);
}

/* Whose clock has gone on without it: what has been read meanwhile is seen first. */
Test(service, a_shim_that_was_stopped_has_not_waited)
{
	int reader = run_with_output();
	struct answer deleted;

	bench.settings->stdio_exit_timeout_ms = 1;
	bench.settings->stdio_stall_timeout_ms = 300;
	bench.settings->stdio_drain_timeout_ms = 500;
	write_output(1000);
	fake_exit("c", 0);
	fake_stream_done(0);
	bench_run_for(0.1);
	bench_ask_delete(&deleted);
	bench_settle();
	usleep(600000);
	bench_settle();
	cr_expect_not(deleted.here);
	read_output(reader, 1000);
	cr_expect(bench_wait_until(&deleted.here));
	close(reader);
}

Test(service, a_stream_that_cannot_be_opened_fails_create)
{
	bench.fifos[1] = bench_make_fifo("out");
	fake.streams_refuse = true;
	bench_serve(60000);
	cr_expect_eq(bench_create().err.code, ERROR_UNAVAILABLE);
	cr_expect_eq(fake.mounts, 0);
}

Test(service, a_fifo_that_is_not_there_fails_create)
{
	bench.fifos[1] = "/nosuch/out";
	bench_serve(60000);
	bench_expect_refused(bench_create(), ERROR_UNKNOWN,
	                     "cannot open \"/nosuch/out\" for output: No such file or directory");
}

Test(service, a_size_that_comes_before_an_exec_is_its_first)
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

Test(service, a_pod_of_several_containers_is_refused)
{
	struct error err;

	pod_bench_write_config(
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"
		"\"root\":{\"path\":\"rootfs\"},\"annotations\":"
		"{\"io.kubernetes.cri.container-type\":\"sandbox\",\"io.kubernetes.cri."
		"sandbox-id\":\"c\"}}");
	cr_expect_lt(bench_try_serve(&err), 0);
	cr_expect_eq(err.code, ERROR_UNIMPLEMENTED, "%s", err.text);
}

Test(service, a_container_is_paused_and_resumed)
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

Test(service, a_paused_container_can_end)
{
	bench_run_container();
	bench_freeze("Pause");
	fake_exit("c", 137);
	bench_settle();
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__STOPPED);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(service, a_pause_that_the_guest_refuses_changes_nothing)
{
	bench_run_container();
	fake.fails = "PauseContainer";
	error_set(&fake.refusal, ERROR_INTERNAL, "no freezer");
	bench_expect_refused(bench_freeze("Pause"), ERROR_INTERNAL, "no freezer");
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	cr_expect_not(fake_logged("/tasks/paused"));
}

Test(service, a_pause_that_is_answered_too_late_is_undone)
{
	bench_run_container();
	bench.settings->agent_timeout_ms = 50;
	fake.holds = "PauseContainer";
	cr_expect_eq(bench_freeze("Pause").err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bench_settle();
	cr_expect(fake_order("PauseContainer c", "ResumeContainer c"));
}

Test(service, a_resume_that_is_answered_too_late_has_resumed)
{
	bench_run_container();
	bench_freeze("Pause");
	bench.settings->agent_timeout_ms = 50;
	fake.holds = "ResumeContainer";
	cr_expect_eq(bench_freeze("Resume").err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	cr_expect(fake_order("/tasks/paused", "/tasks/resumed"));
}

Test(service, an_update_goes_to_the_guest)
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

Test(service, a_kill_works_beside_an_update_that_hangs)
{
	struct answer updated;

	bench_run_container();
	fake.holds = "UpdateContainer";
	bench_ask_update(&updated, "{}");
	bench_settle();
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	cr_expect_not(updated.here);
}

Test(service, an_update_under_way_is_answered_when_its_container_goes)
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

static void settle_until_oom_is_asked_for(void)
{
	for (int i = 0; i < 1000 && !fake_oom_is_asked_for(); i++)
		bench_settle();
}

Test(service, out_of_memory_is_told_each_time)
{
	bench_run_container();
	fake_oom("c");
	bench_settle();
	cr_expect(fake_logged("/tasks/oom"));
	*fake.log = '\0';
	settle_until_oom_is_asked_for();
	fake_oom("nobody");
	bench_settle();
	cr_expect_not(fake_logged("/tasks/oom"));
	settle_until_oom_is_asked_for();
	fake_oom("c");
	bench_settle();
	cr_expect(fake_logged("/tasks/oom"));
}

Test(service, out_of_memory_between_two_questions_is_told_before_the_exit)
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

Test(service, a_guest_that_is_always_out_of_memory_tells_it_now_and_then)
{
	bench_run_container();
	for (int i = 0; i < 3; i++) {
		settle_until_oom_is_asked_for();
		fake_oom("c");
		bench_settle();
		cr_expect_not(fake_oom_is_asked_for(), "asked again at once");
	}
}

Test(service, stats_are_the_guests)
{
	bench_run_container();
	cr_expect_eq(bench_stats().err.code, ERROR_NONE);
	cr_expect_geq(bench_stats().status, 1);
	fake_exit("c", 0);
	bench_settle();
	cr_expect_eq(bench_stats().err.code, ERROR_NONE);
}

Test(service, what_is_left_of_an_ended_init_is_killed_and_resized_in_vain)
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

Test(service, the_guest_gets_the_hosts_limits_if_it_knows_them_and_they_are_wanted)
{
	bench_run_container();
	cr_assert_eq(fake.n_host_rlimits, RLIM_NLIMITS);
	cr_assert_gt(fake.n_host_sysctls, 10);
}

Test(service, an_agent_without_a_word_for_the_hosts_limits_gets_none)
{
	fake.upstream = true;
	bench_run_container();
	cr_assert_eq(fake.n_host_rlimits + fake.n_host_sysctls, 0);
}

Test(service, limits_of_the_host_stay_there_by_configuration)
{
	bench.settings->host_limits = false;
	bench_run_container();
	cr_assert_eq(fake.n_host_rlimits + fake.n_host_sysctls, 0);
}

static void on_explained(void *ctx, const struct error *err)
{
	error_copy(ctx, err);
}

Test(service, an_error_while_the_machine_boots_is_its_own_explanation)
{
	const struct vm_size size = { 1, 128 };
	const struct sandbox_config config = {
		.id = "c",
		.hostname = "h",
		.pod_dir = fake.dir,
		.share_dir = fake.dir,
		.install = bench.pod.install,
		.config = bench.settings,
		.size = &size,
	};
	struct sandbox *sandbox = sandbox_start(bench.loop, &config, NULL, NULL);
	struct error told = { 0 }, err;
	struct sandbox_waiter waiter;

	error_set(&err, ERROR_UNAVAILABLE, "of something else");
	sandbox_explain(sandbox, &err, &waiter, on_explained, &told);
	cr_expect_str_eq(told.text, "of something else");
	sandbox_destroy(sandbox);
}
