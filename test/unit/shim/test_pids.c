/*
 * The pids that clients are told: each container and exec has one of its own, a placeholder's
 * (shim/host/placeholder.h). What kills that means the container.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "fake_guest.h"
#include "proto/google.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "service_bench.h"
#include "shim/config/config.h"
#include "shim/host/pid_file.h"

#define T(name)  Containerd__Task__V2__##name
#define EXEC_PID (FAKE_PID + 1)
#define STOPPED  CONTAINERD__V1__TYPES__STATUS__STOPPED
#define RUNNING  CONTAINERD__V1__TYPES__STATUS__RUNNING
#define SANDBOX_SPEC                                                                               \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"rootfs\"},\"annotations\":{"                                         \
	"\"io.kubernetes.cri.container-type\":\"sandbox\","                                        \
	"\"io.kubernetes.cri.sandbox-id\":\"c\"},"                                                 \
	"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"uts\"}," \
	"{\"type\":\"ipc\"}]"                                                                      \
	"}}"

TestSuite(pids, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

static void run_exec(void)
{
	bench_run_container();
	cr_assert_eq(bench_exec("e").err.code, ERROR_NONE);
	cr_assert_eq(bench_start("e").err.code, ERROR_NONE);
}

static uint32_t connected_pid(void)
{
	T(ConnectRequest) request = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;

	request.id = "c";
	return bench_get("Connect", &request, &containerd__task__v2__connect_response__descriptor)
	        .pid;
}

static size_t n_pids(void)
{
	T(PidsRequest) request = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;

	request.id = "c";
	return bench_get("Pids", &request, &containerd__task__v2__pids_response__descriptor).n_pids;
}

Test(pids, a_container_has_one_from_create_to_delete)
{
	autofree char *root = NULL;

	bench_serve(60000);
	cr_expect_eq(bench_create().pid, FAKE_PID);
	root = mem_printf("%s/c/rootfs", fake.dir);
	cr_expect_str_eq(fake.placeholder_root, root);
	cr_expect(fake_order("mount", "placeholder kata-container: c (placeholder)"));
	cr_expect_eq(bench_state("").pid, FAKE_PID);
	cr_expect_eq(bench_start("").pid, FAKE_PID);
	cr_expect_eq(connected_pid(), FAKE_PID);
	cr_expect_eq(bench_kill("c", "", SIGKILL).err.code, ERROR_NONE);
	cr_expect_eq(bench_state("").state, STOPPED);
	cr_expect_eq(bench_state("").pid, FAKE_PID);
	cr_expect_eq(fake.placeholders, 1, "the pid of a container that has exited is its own yet");
	cr_expect_eq(n_pids(), 1);
	cr_expect_eq(bench_delete("").pid, FAKE_PID);
	cr_expect_eq(fake.placeholders, 0);
}

Test(pids, the_root_file_system_is_not_busy_when_it_is_unmounted)
{
	run_exec();
	bench_kill("c", "", SIGKILL);
	cr_expect_eq(bench_delete("").err.code, ERROR_NONE);
	cr_expect(fake_order("placeholder ended\nplaceholder ended\n", "unmount"));
	cr_expect_eq(fake.placeholders, 0);
}

Test(pids, an_exec_has_one_from_its_start_to_its_delete)
{
	bench_run_container();
	bench_exec("e");
	cr_expect_eq(bench_state("e").pid, 0);
	cr_expect_eq(bench_start("e").pid, EXEC_PID);
	cr_expect(fake_logged("placeholder kata-exec: e of container c (placeholder)"));
	bench_settle();
	fake_exit("c.e", 0);
	bench_settle();
	cr_expect_eq(bench_state("e").state, STOPPED);
	cr_expect_eq(bench_state("e").pid, EXEC_PID);
	cr_expect_eq(fake.placeholders, 2);
	cr_expect_eq(bench_delete("e").pid, EXEC_PID);
	cr_expect_eq(fake.placeholders, 1);
}

Test(pids, a_pid_that_is_killed_means_its_container)
{
	struct answer exit;

	run_exec();
	bench_ask_wait(&exit, "");
	bench_settle();
	fake_kill_placeholder(FAKE_PID);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect(fake_logged("SignalProcess c 9"));
	cr_expect_not(fake_logged("SignalProcess c.e 9"));
	cr_expect_eq(bench_delete("").pid, FAKE_PID);
}

Test(pids, a_pid_that_is_killed_before_the_start_means_its_container_too)
{
	struct answer exit;

	bench_serve(60000);
	bench_create();
	bench_ask_wait(&exit, "");
	bench_settle();
	fake_kill_placeholder(FAKE_PID);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect_eq(bench_delete("").err.code, ERROR_NONE);
}

Test(pids, an_execs_that_is_killed_means_the_exec_alone)
{
	run_exec();
	bench_settle();
	fake_kill_placeholder(EXEC_PID);
	bench_settle();
	cr_expect(fake_logged("SignalProcess c.e 9"));
	cr_expect_not(fake_logged("SignalProcess c 9"));
	fake_exit("c.e", 137);
	bench_settle();
	cr_expect_eq(bench_state("e").state, STOPPED);
	cr_expect_eq(bench_state("").state, RUNNING);
	cr_expect_eq(bench_delete("e").status, 137);
}

Test(pids, of_a_container_that_has_exited_a_kill_means_nothing)
{
	bench_run_container();
	bench_settle();
	fake_exit("c", 3);
	bench_settle();
	fake_kill_placeholder(FAKE_PID);
	bench_settle();
	cr_expect_not(fake_logged("SignalProcess c 9"));
	cr_expect_eq(bench_delete("").status, 3);
}

Test(pids, a_container_that_does_not_end_by_its_pid_ends_the_machine)
{
	struct answer exit;

	bench.settings->kill_timeout_ms = 100;
	fake.survives = true;
	bench_run_container();
	bench_ask_wait(&exit, "");
	bench_settle();
	fake_kill_placeholder(FAKE_PID);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect(fake_logged("vm_stop"));
}

Test(pids, the_pause_containers_is_the_pods)
{
	struct answer exit;
	autofree char *empty = NULL;

	pod_bench_write_config(SANDBOX_SPEC);
	bench_serve(60000);
	cr_expect_eq(bench_create().pid, FAKE_PID);
	empty = mem_printf("%s/empty", fake.dir);
	cr_expect_str_eq(fake.placeholder_root, empty);
	cr_expect(fake_logged("placeholder kata-pod: c (placeholder)"));
	cr_expect_eq(bench_start("").pid, FAKE_PID);
	bench_ask_wait(&exit, "");
	bench_settle();
	fake_kill_placeholder(FAKE_PID);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect_eq(bench_delete("").pid, FAKE_PID);
	cr_expect(fake_logged("placeholder ended") || fake.placeholders == 0);
}

Test(pids, without_a_pid_create_fails_and_leaves_nothing)
{
	struct answer answer;

	fake.placeholder_fails = "cannot fork";
	bench_serve(60000);
	answer = bench_create();
	cr_expect_eq(answer.err.code, ERROR_UNAVAILABLE);
	cr_expect(strstr(answer.err.text, "cannot fork"), "%s", answer.err.text);
	cr_expect_eq(fake.mounts, 0);
	cr_expect_eq(fake.placeholders, 0);
	cr_expect_not(fake_logged("CreateContainer c"));
}

Test(pids, without_a_pid_an_exec_fails_and_is_killed)
{
	struct answer answer;

	bench_run_container();
	bench_exec("e");
	fake.placeholder_fails = "cannot fork";
	answer = bench_start("e");
	cr_expect(strstr(answer.err.text, "cannot fork"), "%s", answer.err.text);
	cr_expect(fake_order("ExecProcess c", "SignalProcess c.e 9"));
	cr_expect_eq(bench_state("e").pid, 0);
	cr_expect_eq(fake.placeholders, 1);
	cr_expect_eq(bench_delete("e").err.code, ERROR_NONE);
}

Test(pids, a_pid_that_is_killed_while_its_container_is_made_fails_create)
{
	struct answer answer;

	fake.holds = "CreateContainer";
	bench_serve(60000);
	bench_ask_create(&answer);
	bench_settle();
	fake_kill_placeholder(FAKE_PID);
	fake_release();
	cr_assert(bench_wait_until(&answer.here));
	cr_expect_eq(answer.err.code, ERROR_UNAVAILABLE);
	cr_expect(fake_logged("RemoveContainer c"));
	cr_expect_eq(fake.mounts, 0);
}

/* The boot goes no further: it is not waited for. */
static void expect_end_of_boot(void)
{
	struct answer answer;

	fake.holds = "CreateSandbox";
	bench_serve(60000);
	bench_ask_create(&answer);
	bench_settle();
	cr_assert_not(answer.here);
	fake_kill_placeholder(FAKE_PID);
	cr_assert(bench_wait_until(&answer.here));
	cr_expect_eq(answer.err.code, ERROR_CANCELED);
	cr_expect(strstr(answer.err.text,
	                 "cannot boot the virtual machine: the placeholder process "
	                 "4242 of the host was killed by signal 9"),
	          "%s", answer.err.text);
	cr_expect_eq(fake.mounts, 0);
	cr_expect_eq(fake.placeholders, 0);
}

Test(pids, a_pid_that_is_killed_while_the_machine_boots_ends_it)
{
	expect_end_of_boot();
}

Test(pids, the_pods_that_is_killed_while_the_machine_boots_ends_it)
{
	pod_bench_write_config(SANDBOX_SPEC);
	expect_end_of_boot();
}

Test(pids, an_exec_that_is_deleted_beside_its_container_holds_up_nothing)
{
	struct answer answer;

	run_exec();
	bench_settle();
	fake_exit("c.e", 0);
	fake_exit("c", 0);
	bench_settle();
	fake.placeholders_linger = true;
	bench_ask_delete(&answer);
	bench_settle();
	cr_expect_not(answer.here);
	cr_expect_eq(bench_delete("e").err.code, ERROR_NONE);
	cr_expect_not(answer.here);
	fake_reap();
	cr_assert(bench_wait_until(&answer.here));
	cr_expect_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
}

Test(pids, an_exec_that_starts_while_its_container_is_deleted_fails)
{
	struct answer start, delete;

	bench_run_container();
	bench_exec("e");
	fake.holds = "ExecProcess";
	bench_ask_start(&start, "e");
	bench_settle();
	fake_exit("c", 0);
	bench_run_for(0.05);
	bench_ask_delete(&delete);
	bench_run_for(0.05);
	fake_release();
	cr_assert(bench_wait_until(&start.here));
	cr_expect_neq(start.err.code, ERROR_NONE);
	cr_assert(bench_wait_until(&delete.here));
	cr_expect_eq(fake.placeholders, 0);
}

Test(pids, the_bundle_has_the_pid)
{
	bench_serve(60000);
	bench_create();
	cr_expect_eq(pid_file_read(fake.dir), FAKE_PID);
}
