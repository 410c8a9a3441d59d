/*
 * Pods of several containers: the pause container, who may join it, what they share, and the end.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "fake_guest.h"
#include "proto/task_v2.pb-c.h"
#include "service_bench.h"
#include "shim/config/config.h"

#define STATUS(name) CONTAINERD__V1__TYPES__STATUS__##name
#define MOUNT        "{\"type\":\"mount\"}"
#define OWN          MOUNT ",{\"type\":\"pid\"}"
#define SANDBOX      OWN ",{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"network\"}"

static const char *shm = "/tmp"; /* what each binds as its /dev/shm */

TestSuite(pods, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

/* The bundle of a container of pod "c": it is in @namespaces, a list in JSON. */
static char *make_config(const char *kind, const char *sandbox, const char *namespaces)
{
	return mem_printf(
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"
		"\"root\":{\"path\":\"rootfs\"},\"mounts\":[{\"destination\":\"/dev/shm\","
		"\"type\":\"bind\",\"source\":\"%s\",\"options\":[\"rbind\"]}],"
		"\"annotations\":{\"io.kubernetes.cri.container-type\":\"%s\","
		"\"io.kubernetes.cri.sandbox-id\":\"%s\"},"
		"\"linux\":{\"sysctl\":{\"net.core.somaxconn\":\"512\"},\"namespaces\":[%s]}}",
		shm, kind, sandbox, namespaces);
}

/* What the container's spec says of a namespace of the pod. */
#define OF_POD(type, file) ",{\"type\":\"" type "\",\"path\":\"/proc/4242/ns/" file "\"}"
#define SHARED             MOUNT OF_POD("ipc", "ipc") OF_POD("uts", "uts") OF_POD("network", "net")

static struct answer create(const char *id, const char *kind, const char *sandbox,
                            const char *namespaces)
{
	autofree char *text = make_config(kind, sandbox, namespaces);
	autofree char *bundle = mem_printf("%s/bundle-%s", fake.dir, id);
	autofree char *path = mem_printf("%s/config.json", bundle);
	struct answer answer;

	mkdir(bundle, 0700);
	cr_assert_eq(file_write(AT_FDCWD, path, 0600, text, strlen(text), NULL), 0);
	bench.id = id;
	bench.bundle = bundle;
	answer = bench_create();
	bench.bundle = NULL;
	return answer;
}

static void run(const char *id, const char *namespaces)
{
	struct answer answer = create(id, "container", "c", namespaces);

	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
}

static void run_pause(void)
{
	autofree char *config = make_config("sandbox", "c", SANDBOX);
	struct answer answer;

	pod_bench_write_config(config);
	bench_serve(60000);
	answer = bench_create();
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
}

static uint32_t state_of(const char *id)
{
	bench.id = id;
	return bench_state("").state;
}

Test(pods, a_pause_container_asks_nothing_of_the_guest)
{
	run_pause();
	cr_expect_eq(state_of("c"), STATUS(RUNNING));
	cr_expect_not(fake_logged("CreateContainer c"));
	cr_expect_not(fake_logged("StartContainer c"));
	cr_expect_eq(fake.mounts, 0);
	cr_expect_gt(bench_stats().status, 0);
	bench_expect_refused(bench_exec("e"), ERROR_UNIMPLEMENTED,
	                     "Exec of pause container \"c\": not supported; it has no process in "
	                     "the virtual machine");
	cr_expect_eq(bench_freeze("Pause").err.code, ERROR_UNIMPLEMENTED);
	cr_expect(fake_order("/tasks/create", "/tasks/start"));
}

Test(pods, containers_share_the_pods_namespaces)
{
	run_pause();
	run("a", SHARED OF_POD("pid", "pid"));
	cr_expect_str_eq(fake.namespaces, "mount cgroup");
	run("b", SHARED ",{\"type\":\"pid\"}");
	cr_expect_str_eq(fake.namespaces, "mount pid cgroup");
	cr_expect(fake_logged("CreateContainer a"));
	cr_expect(fake_logged("CreateContainer b"));
}

Test(pods, containers_share_dev_shm)
{
	run_pause();
	cr_expect(strstr(fake.shm_storage, "/run/kata-containers/sandbox/shm size="));
	run("a", SHARED);
	cr_expect_str_eq(fake.shm_source, "/run/kata-containers/sandbox/shm");
}

/* Of the host. By a user namespace where the tests are not root. */
Test(pods, a_dev_shm_without_a_size_is_there)
{
	shm = "/mnt";
	cr_assert_eq(unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)), 0);
	cr_assert_eq(mount("shm", shm, "tmpfs", 0, "size=0"), 0);
	run_pause();
	cr_expect_str_eq(fake.shm_storage, "/run/kata-containers/sandbox/shm mode=1777");
	run("a", SHARED);
	cr_expect_str_eq(fake.shm_source, "/run/kata-containers/sandbox/shm");
}

Test(pods, the_settings_of_the_sandbox_are_those_of_the_pod)
{
	run_pause();
	cr_expect_str_eq(fake.pod_sysctl, "net.core.somaxconn=512");
}

Test(pods, a_container_joins_the_pid_namespace_of_another)
{
	autofree char *namespaces = NULL;
	struct answer target;

	run_pause();
	target = create("a", "container", "c", SHARED ",{\"type\":\"pid\"}");
	cr_assert_eq(target.err.code, ERROR_NONE, "%s", target.err.text);
	cr_expect_str_eq(fake.pid_of, "");
	namespaces =
		mem_printf(SHARED ",{\"type\":\"pid\",\"path\":\"/proc/%u/ns/pid\"}", target.pid);
	run("b", namespaces);
	cr_expect_str_eq(fake.pid_of, "a");
	cr_expect_str_eq(fake.namespaces, "mount cgroup");
}

Test(pods, a_namespace_that_is_none_of_the_pods_is_refused)
{
	struct answer answer;

	run_pause();
	answer = create("a", "container", "c",
	                OWN ",{\"type\":\"ipc\",\"path\":\"/proc/1/ns/ipc\"}");
	cr_expect_eq(answer.err.code, ERROR_UNIMPLEMENTED);
	cr_expect(strstr(answer.err.text, "linux.namespaces[2] ipc: joining \"/proc/1/ns/ipc\": "
	                                  "not supported; it is none of the pod's"));
	/* The file of another kind. */
	answer = create("a", "container", "c", OWN OF_POD("ipc", "uts"));
	cr_expect_eq(answer.err.code, ERROR_UNIMPLEMENTED);
	run("a", SHARED);
}

Test(pods, a_kill_of_the_pause_container_ends_all)
{
	struct answer exits[3];
	const char *const ids[] = { "a", "b", "c" };

	run_pause();
	run("a", SHARED);
	run("b", SHARED);
	for (size_t i = 0; i < 3; i++) {
		bench.id = ids[i];
		bench_ask_wait(&exits[i], "");
	}
	fake.survives = true;
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	for (size_t i = 0; i < 3; i++) {
		cr_assert(bench_wait_until(&exits[i].here), "%s", ids[i]);
		cr_expect_eq(exits[i].status, 137);
	}
	cr_expect(fake_order("vm_stop", "/tasks/exit c"));
	cr_expect(fake_order("/tasks/exit a", "/tasks/exit c"));
	cr_expect(fake_order("/tasks/exit b", "/tasks/exit c"));
	for (size_t i = 3; i-- > 0;) { /* the pause container first, as CRI does at times */
		cr_expect_not(bench.ending);
		bench.id = ids[i];
		cr_expect_eq(bench_delete("").status, 137);
	}
	cr_expect(bench.ending);
	cr_expect_eq(bench_shutdown().err.code, ERROR_NONE);
	cr_expect(bench_wait_until(&bench.ended));
	cr_expect_eq(fake.mounts, 0);
}

/* As a kubelet does that stops a pod twice at once. */
Test(pods, a_kill_while_the_machine_ends_succeeds)
{
	struct answer exit;

	run_pause();
	run("a", SHARED);
	bench_ask_wait(&exit, "");
	fake.holds = "DestroySandbox";
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	cr_expect_eq(bench_kill("a", "", 15).err.code, ERROR_NONE);
	cr_expect_eq(bench_kill("a", "", 99).err.code, ERROR_INVALID_ARGUMENT);
	cr_expect_not(exit.here);
	fake_release();
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
}

Test(pods, a_signal_ends_the_pause_container_as_it_ends_a_program_that_waits)
{
	struct answer exit;

	run_pause();
	bench_ask_wait(&exit, "");
	cr_expect_eq(bench_kill("c", "", 1).err.code, ERROR_NONE);
	bench_settle();
	cr_expect_not(exit.here);
	cr_expect_eq(bench_kill("c", "", 15).err.code, ERROR_NONE);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 0);
}

Test(pods, a_pause_container_that_never_started_is_deleted)
{
	autofree char *config = make_config("sandbox", "c", SANDBOX);

	pod_bench_write_config(config);
	bench_serve(60000);
	cr_assert_eq(bench_create().err.code, ERROR_NONE);
	cr_expect_eq(bench_delete("").status, 137);
	cr_expect_eq(bench_shutdown().err.code, ERROR_NONE);
	cr_expect(bench_wait_until(&bench.ended));
}

Test(pods, a_container_comes_only_while_the_pause_container_runs)
{
	autofree char *config = make_config("sandbox", "c", SANDBOX);

	pod_bench_write_config(config);
	bench_serve(60000);
	bench_expect_refused(create("a", "container", "c", SHARED), ERROR_FAILED_PRECONDITION,
	                     "invalid container \"a\": sandbox \"c\" is not running");
}

Test(pods, a_pod_that_ends_takes_no_container)
{
	struct answer exit;

	run_pause();
	bench_ask_wait(&exit, "");
	bench_kill("c", "", 9);
	cr_assert(bench_wait_until(&exit.here));
	bench_expect_refused(create("a", "container", "c", SHARED), ERROR_FAILED_PRECONDITION,
	                     "invalid container \"a\": sandbox \"c\" is not running");
}

Test(pods, one_of_another_pod_is_refused)
{
	run_pause();
	bench_expect_refused(create("a", "container", "other", SHARED), ERROR_FAILED_PRECONDITION,
	                     "invalid container \"a\": its bundle does not name sandbox \"c\"");
	bench_expect_refused(create("a", "sandbox", "c", SANDBOX), ERROR_FAILED_PRECONDITION,
	                     "invalid container \"a\": the pod has the sandbox \"c\" already");
}

Test(pods, a_container_that_fails_harms_no_other)
{
	run_pause();
	run("a", SHARED);
	fake.fails = "CreateContainer";
	error_set(&fake.refusal, ERROR_UNKNOWN, "no");
	cr_expect_eq(create("b", "container", "c", SHARED).err.code, ERROR_UNKNOWN);
	fake.fails = NULL;
	cr_expect_eq(state_of("a"), STATUS(RUNNING));
	run("b", SHARED);
	cr_expect_not(bench.ending);
}

Test(pods, containers_come_and_go)
{
	run_pause();
	for (int i = 0; i < 20; i++) {
		run("a", SHARED);
		fake_exit("a", i);
		bench_settle();
		cr_expect_eq(bench_delete("").status, (uint32_t)i);
		cr_expect_eq(bench_shutdown().err.code,
		             ERROR_NONE); /* containerd 1.6 asks each time */
	}
	cr_expect_not(bench.ending);
	cr_expect_eq(state_of("c"), STATUS(RUNNING));
	cr_expect_eq(fake.mounts, 0);
}

Test(pods, one_that_cannot_be_killed_harms_no_other)
{
	bench.settings->kill_timeout_ms = 50;
	run_pause();
	run("a", SHARED);
	run("b", SHARED);
	fake.survives = true;
	cr_expect_eq(bench_kill("b", "", 9).err.code, ERROR_NONE);
	bench_run_for(0.2);
	cr_expect_not(fake_logged("vm_stop"));
	cr_expect_eq(state_of("a"), STATUS(RUNNING));
	cr_expect_eq(state_of("b"), STATUS(RUNNING));
}

Test(pods, when_none_is_left_that_can_be_killed_the_machine_is_ended)
{
	struct answer exit;

	bench.settings->kill_timeout_ms = 50;
	run_pause();
	run("a", SHARED);
	run("b", SHARED);
	run("d", SHARED);
	fake_exit("d", 3);
	bench_settle();
	fake.survives = true;
	cr_expect_eq(bench_kill("b", "", 9).err.code, ERROR_NONE);
	bench_run_for(0.2);
	cr_expect_not(fake_logged("vm_stop"));
	bench.id = "b";
	bench_ask_wait(&exit, "");
	cr_expect_eq(bench_kill("a", "", 9).err.code, ERROR_NONE);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect(fake_logged("vm_stop"));
	cr_expect_eq(state_of("d"), STATUS(STOPPED));
}

Test(pods, a_guest_that_does_not_answer_to_sigkill_is_ended)
{
	struct answer exit;

	bench.settings->kill_timeout_ms = 50;
	run_pause();
	run("a", SHARED);
	run("b", SHARED);
	bench_ask_wait(&exit, "");
	fake.holds = "SignalProcess";
	cr_expect_eq(bench_kill("b", "", 9).err.code, ERROR_NONE);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect(fake_logged("vm_stop"));
}

Test(pods, the_bundle_of_one_that_is_left_tells_whether_containerd_has_the_pod)
{
	autofree char *other = NULL;
	struct answer exit;

	run_pause();
	run("a", SHARED);
	other = mem_printf("%s/bundle-a", fake.dir);
	cr_expect_null(service_next_bundle(bench.pod.service, fake.dir));
	bench.id = "c";
	bench_ask_wait(&exit, "");
	bench_kill("c", "", 9);
	cr_assert(bench_wait_until(&exit.here));
	bench_delete("");
	cr_expect_str_eq(service_next_bundle(bench.pod.service, fake.dir), other);
	cr_expect_null(service_next_bundle(bench.pod.service, other));
}
