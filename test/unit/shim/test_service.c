#include "shim/server/service.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/resource.h>

#include "fake_guest.h"
#include "proto/task_v2.pb-c.h"
#include "service_bench.h"
#include "shim/config/config.h"

#define T(name) Containerd__Task__V2__##name

TestSuite(service, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(service, a_container_is_created_started_ends_and_is_deleted)
{
	struct answer answer, exit;

	bench_serve(60000);
	answer = bench_create();
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	cr_expect_eq(answer.pid, FAKE_PID);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__CREATED);
	bench_ask_wait(&exit, "");
	cr_expect_eq(bench_start("").pid, FAKE_PID);
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

Test(service, connect_tells_the_pid)
{
	T(ConnectRequest) request = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;

	bench_run_container();
	request.id = "c";
	cr_expect_eq(
		bench_get("Connect", &request, &containerd__task__v2__connect_response__descriptor)
			.pid,
		FAKE_PID);
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

Test(service, stats_are_the_guests)
{
	bench_run_container();
	cr_expect_eq(bench_stats().err.code, ERROR_NONE);
	cr_expect_geq(bench_stats().status, 1);
	fake_exit("c", 0);
	bench_settle();
	cr_expect_eq(bench_stats().err.code, ERROR_NONE);
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
