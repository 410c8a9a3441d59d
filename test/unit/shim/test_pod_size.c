/*
 * How big the machine of a pod is, while its containers come, change and go.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/mem.h"
#include "fake_guest.h"
#include "service_bench.h"
#include "shim/config/config.h"
#include "shim/spec/vm_size.h"

#define MIB    (1LL << 20)
#define MEMORY "{\"memory\":{\"limit\":%lld}}"
#define NONE   "{}"

static void setup(void)
{
	bench_setup();
	bench.settings->memory_mib = 256;
	bench.settings->max_memory_mib = 1024;
}

TestSuite(pod_size, .init = setup, .fini = bench_teardown, .timeout = 120);

/* @annotations: beside those that make it a container, or the sandbox, of pod "c". */
static char *make_config(const char *kind, const char *annotations, const char *resources)
{
	return mem_printf("{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"
	                  "\"root\":{\"path\":\"rootfs\"},"
	                  "\"annotations\":{\"io.kubernetes.cri.container-type\":\"%s\","
	                  "\"io.kubernetes.cri.sandbox-id\":\"c\"%s},"
	                  "\"linux\":{\"resources\":%s,\"namespaces\":[{\"type\":\"mount\"},{"
	                  "\"type\":\"pid\"},"
	                  "{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"network\"%s}]}}",
	                  kind, annotations, resources,
	                  strcmp(kind, "sandbox") ? ",\"path\":\"/proc/4242/ns/net\"" : "");
}

static void run_pause(const char *annotations)
{
	autofree char *config = make_config("sandbox", annotations, NONE);
	struct answer answer;

	pod_bench_write_config(config);
	bench_serve(60000);
	answer = bench_create();
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
}

static void write_bundle(const char *id, const char *resources)
{
	autofree char *config = make_config("container", "", resources);
	autofree char *path = NULL;

	free(bench.bundle);
	bench.bundle = mem_printf("%s/bundle-%s", fake.dir, id);
	path = mem_printf("%s/config.json", bench.bundle);
	mkdir(bench.bundle, 0700);
	cr_assert_eq(file_write(AT_FDCWD, path, 0600, config, strlen(config), NULL), 0);
	bench.id = id;
}

static struct answer create(const char *id, long long memory)
{
	autofree char *resources = mem_printf(MEMORY, memory);
	struct answer answer;

	write_bundle(id, resources);
	answer = bench_create();
	free(take_ptr(&bench.bundle));
	return answer;
}

static void expect_created(const char *id, long long memory)
{
	struct answer answer = create(id, memory);

	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
}

static void delete (const char *id)
{
	bench.id = id;
	cr_assert_eq(bench_delete("").err.code, ERROR_NONE);
}

Test(pod_size, grows_by_the_limit_of_each_container_before_it_is_made)
{
	run_pause("");
	cr_expect_eq(fake.memory_mib, 256);
	cr_expect_eq(fake.memory_max_mib, 1024);
	cr_expect_not(fake.vcpus_stay);
	expect_created("a", 100 * MIB);
	cr_expect_eq(fake.memory_mib, 384);
	expect_created("b", 200 * MIB);
	cr_expect_eq(fake.memory_mib, 640);
	cr_expect(fake_order("OnlineCPUMem 1 and memory", "CreateContainer a"));
	cr_expect(fake_order("resize 1 640", "CreateContainer b"));
	expect_created("c3", -1);
	cr_expect_eq(fake.memory_mib, 640);
}

Test(pod_size, a_container_that_is_made_anew_counts_once)
{
	run_pause("");
	for (int i = 0; i < 5; i++) {
		expect_created("a", 128 * MIB);
		cr_expect_eq(fake.memory_mib, 384);
		delete ("a");
	}
	expect_created("b", 256 * MIB);
	cr_expect_eq(fake.memory_mib, 512);
}

Test(pod_size, is_capped_at_the_maximum)
{
	run_pause("");
	expect_created("a", 600 * MIB);
	expect_created("b", 600 * MIB);
	cr_expect_eq(fake.memory_mib, 1024);
}

#define SIZED ",\"io.kubernetes.cri.sandbox-memory\":\"536870912\""

Test(pod_size, of_a_sandbox_that_names_it_has_room_for_the_containers)
{
	run_pause(SIZED ",\"io.kubernetes.cri.sandbox-cpu-quota\":\"10000\"");
	cr_expect_eq(fake.memory_mib, 768);
	cr_expect(fake.vcpus_stay);
	expect_created("a", 256 * MIB);
	expect_created("b", 256 * MIB);
	cr_expect_eq(fake.memory_mib, 768);
	expect_created("d", 128 * MIB);
	cr_expect_eq(fake.memory_mib, 896);
}

Test(pod_size, vcpus_are_brought_online)
{
	bench.settings->max_vcpus = 2;
	if (vm_size_of_host().vcpus < 2)
		cr_skip_test("this machine has one processor");
	run_pause("");
	write_bundle("a", "{\"cpu\":{\"quota\":50000,\"period\":100000}}");
	cr_assert_eq(bench_create().err.code, ERROR_NONE);
	free(take_ptr(&bench.bundle));
	cr_expect_eq(fake.vcpus, 2);
	cr_expect(fake_order("OnlineCPUMem 2\n", "CreateContainer a"));
	expect_created("b", 0);
	cr_expect_not(fake_order("CreateContainer a", "resize"));
}

Test(pod_size, a_failed_growth_fails_that_create_alone)
{
	run_pause("");
	fake.resize_fails = true;
	bench_expect_refused(create("a", 128 * MIB), ERROR_ABORTED, "the machine stays small");
	cr_expect_not(fake_logged("CreateContainer a"));
	cr_expect_eq(fake.mounts, 0);
	fake.resize_fails = false;
	expect_created("b", 256 * MIB);
	cr_expect_eq(fake.memory_mib, 512);
}

Test(pod_size, a_failed_create_leaves_its_room_to_the_next)
{
	run_pause("");
	fake.fails = "CreateContainer";
	error_set(&fake.refusal, ERROR_INVALID_ARGUMENT, "no");
	cr_expect_eq(create("a", 256 * MIB).err.code, ERROR_INVALID_ARGUMENT);
	fake.fails = NULL;
	expect_created("b", 256 * MIB);
	cr_expect_eq(fake.memory_mib, 512);
}

Test(pod_size, a_guest_that_does_not_take_it_fails_the_create)
{
	run_pause("");
	fake.fails = "OnlineCPUMem";
	error_set(&fake.refusal, ERROR_UNAVAILABLE, "no memory has come");
	bench_expect_refused(create("a", 128 * MIB), ERROR_UNAVAILABLE, "no memory has come");
}

Test(pod_size, an_update_grows_the_machine_before_the_limit)
{
	run_pause("");
	expect_created("a", 128 * MIB);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	cr_expect_eq(bench_update("{\"memory\":{\"limit\":268435456}}").err.code, ERROR_NONE);
	cr_expect_eq(fake.memory_mib, 512);
	cr_expect(fake_order("resize 1 512", "UpdateContainer a"));
	cr_expect_eq(bench_update("{\"memory\":{\"limit\":1048576}}").err.code, ERROR_NONE);
	cr_expect_eq(fake.memory_mib, 384);
	cr_expect(fake_order("UpdateContainer a", "resize 0 384"));
	expect_created("b", 255 * MIB);
	cr_expect_eq(fake.memory_mib, 512);
}

Test(pod_size, a_refused_update_changes_nothing)
{
	run_pause("");
	expect_created("a", 128 * MIB);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	fake.fails = "UpdateContainer";
	error_set(&fake.refusal, ERROR_INVALID_ARGUMENT, "no");
	cr_expect_eq(bench_update("{\"memory\":{\"limit\":268435456}}").err.code,
	             ERROR_INVALID_ARGUMENT);
	expect_created("b", 128 * MIB);
	cr_expect_eq(fake.memory_mib, 512);
}

Test(pod_size, two_creates_at_once_grow_it_one_after_the_other)
{
	struct answer a, b;

	run_pause("");
	fake.holds = "OnlineCPUMem";
	write_bundle("a", "{\"memory\":{\"limit\":134217728}}");
	bench_ask_create(&a);
	cr_assert(bench_wait_until(&fake.holding));
	write_bundle("b", "{\"memory\":{\"limit\":134217728}}");
	bench_ask_create(&b);
	bench_settle();
	cr_expect_not(a.here);
	cr_expect_not(b.here);
	fake_release();
	cr_assert(bench_wait_until(&a.here));
	cr_assert(bench_wait_until(&b.here));
	cr_expect_eq(a.err.code, ERROR_NONE);
	cr_expect_eq(b.err.code, ERROR_NONE);
	cr_expect_eq(fake.memory_mib, 512);
	free(take_ptr(&bench.bundle));
}

Test(pod_size, the_death_of_the_machine_ends_a_create_that_waits_for_it)
{
	struct answer a;

	run_pause("");
	fake.holds = "OnlineCPUMem";
	write_bundle("a", "{\"memory\":{\"limit\":134217728}}");
	bench_ask_create(&a);
	cr_assert(bench_wait_until(&fake.holding));
	fake_kill_vm("QEMU was killed by SIGKILL");
	cr_assert(bench_wait_until(&a.here));
	cr_expect_neq(a.err.code, ERROR_NONE);
	free(take_ptr(&bench.bundle));
}

static bool has_shrunk_to(uint64_t memory_mib)
{
	for (int i = 0; i < 100 && fake.memory_mib != memory_mib; i++)
		bench_run_for(0.1);
	return fake.memory_mib == memory_mib;
}

Test(pod_size, what_a_container_leaves_is_given_back_when_none_has_left_for_a_while)
{
	bench.settings->shrink_delay_ms = 1000;
	run_pause("");
	expect_created("a", 128 * MIB);
	expect_created("b", 256 * MIB);
	cr_expect_eq(fake.memory_mib, 640);
	delete ("a");
	for (int i = 0; i < 3; i++) { /* it comes again each time before the delay is over */
		bench_run_for(0.4);
		cr_expect_eq(fake.memory_mib, 640);
		expect_created("a", 128 * MIB);
		delete ("a");
	}
	cr_expect_not(fake_logged("resize 0 "));
	cr_expect(has_shrunk_to(512));
	delete ("b");
	cr_expect(has_shrunk_to(256));
}

Test(pod_size, vcpus_are_taken_offline_before_they_leave)
{
	bench.settings->max_vcpus = 2;
	bench.settings->shrink_delay_ms = 10;
	if (vm_size_of_host().vcpus < 2)
		cr_skip_test("this machine has one processor");
	fake.vcpus_leave = true;
	run_pause("");
	write_bundle("a", "{\"cpu\":{\"quota\":50000,\"period\":100000}}");
	cr_assert_eq(bench_create().err.code, ERROR_NONE);
	free(take_ptr(&bench.bundle));
	cr_expect_eq(fake.vcpus, 2);
	delete ("a");
	for (int i = 0; i < 100 && fake.vcpus != 1; i++)
		bench_run_for(0.1);
	cr_expect_eq(fake.vcpus, 1);
	cr_expect(fake_order("OnlineCPUMem exactly 1", "resize 1 0"));
}

Test(pod_size, vcpus_that_cannot_leave_are_offline_until_they_are_wanted)
{
	bench.settings->max_vcpus = 2;
	if (vm_size_of_host().vcpus < 2)
		cr_skip_test("this machine has one processor");
	run_pause("");
	write_bundle("a", "{\"cpu\":{\"quota\":50000,\"period\":100000}}");
	cr_assert_eq(bench_create().err.code, ERROR_NONE);
	free(take_ptr(&bench.bundle));
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	cr_expect_eq(bench_update("{\"cpu\":{\"quota\":-1}}").err.code, ERROR_NONE);
	cr_expect(fake_order("UpdateContainer a", "OnlineCPUMem exactly 1"));
	cr_expect_eq(fake.vcpus, 2);
	cr_expect_eq(bench_update("{\"cpu\":{\"quota\":100000}}").err.code, ERROR_NONE);
	cr_expect(fake_order("OnlineCPUMem exactly 1", "OnlineCPUMem 2\n"));
}

Test(pod_size, a_guest_that_keeps_memory_fails_no_update)
{
	run_pause("");
	expect_created("a", 256 * MIB);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	fake.resize_fails = true;
	cr_expect_eq(bench_update("{\"memory\":{\"limit\":1048576}}").err.code, ERROR_NONE);
	cr_expect_eq(fake.memory_mib, 512);
	fake.resize_fails = false;
	expect_created("b", 255 * MIB); /* there is room, but it may go: it is asked for again */
	cr_expect(fake_logged("resize 1 512"));
}

Test(pod_size, a_refused_update_gives_its_room_back)
{
	run_pause("");
	expect_created("a", 128 * MIB);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	fake.fails = "UpdateContainer";
	error_set(&fake.refusal, ERROR_INVALID_ARGUMENT, "no");
	cr_expect_eq(bench_update("{\"memory\":{\"limit\":268435456}}").err.code,
	             ERROR_INVALID_ARGUMENT);
	cr_expect(fake_logged("resize 1 512"));
	cr_expect_eq(fake.memory_mib, 384);
}

Test(pod_size, a_failed_growth_leaves_nothing)
{
	run_pause("");
	fake.fails = "OnlineCPUMem";
	error_set(&fake.refusal, ERROR_UNAVAILABLE, "no memory has come");
	bench_expect_refused(create("a", 128 * MIB), ERROR_UNAVAILABLE, "no memory has come");
	fake.fails = NULL;
	cr_expect(has_shrunk_to(256));
}

Test(pod_size, more_than_there_can_be_is_refused_with_both_numbers)
{
	static const char text[] = "memory.limit of 2048 MiB: the machine can have 1024 MiB";
	autofree char *cpus = mem_printf("cpu.quota of 1000000 CPUs: the machine can have %u",
	                                 vm_size_of_host().vcpus);

	run_pause("");
	expect_created("a", 128 * MIB);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	bench_expect_refused(bench_update("{\"memory\":{\"limit\":2147483648}}"),
	                     ERROR_RESOURCE_EXHAUSTED, text);
	bench_expect_refused(bench_update("{\"cpu\":{\"quota\":1000000000,\"period\":1000}}"),
	                     ERROR_RESOURCE_EXHAUSTED, cpus);
	cr_expect_not(fake_logged("UpdateContainer a"));
	cr_expect_eq(fake.memory_mib, 384);
	cr_expect_eq(bench_update("{\"memory\":{\"limit\":9223372036854771712}}").err.code,
	             ERROR_NONE); /* what clients without a -1 say */
}

Test(pod_size, two_updates_at_once_have_room_for_both)
{
	struct answer up, down, kill;

	run_pause("");
	expect_created("a", 128 * MIB);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	fake.holds = "UpdateContainer";
	bench_ask_update(&up, "{\"memory\":{\"limit\":536870912}}");
	cr_assert(bench_wait_until(&fake.holding));
	fake.holds = NULL;
	bench_ask_update(&down, "{\"memory\":{\"limit\":1048576}}");
	cr_assert(bench_wait_until(&down.here));
	cr_expect_eq(fake.memory_mib, 768); /* which the guest may allow it yet */
	bench_ask_kill(&kill, 9);
	cr_assert(bench_wait_until(&kill.here));
	cr_expect_eq(kill.err.code, ERROR_NONE);
	fake_release();
	cr_assert(bench_wait_until(&up.here));
	cr_expect_eq(up.err.code, ERROR_NONE);
	cr_expect_eq(fake.memory_mib, 768);
}

Test(pod_size, the_death_of_the_machine_ends_an_update_that_gives_back)
{
	struct answer down;

	run_pause("");
	fake.vcpus_leave = true;
	expect_created("a", 256 * MIB);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	fake.holds = "UpdateContainer";
	bench_ask_update(&down, "{\"memory\":{\"limit\":1048576}}");
	cr_assert(bench_wait_until(&fake.holding));
	fake_kill_vm("QEMU was killed by SIGKILL");
	cr_assert(bench_wait_until(&down.here));
	cr_expect_neq(down.err.code, ERROR_NONE);
}

Test(pod_size, a_cpuset_is_the_hosts)
{
	bench.settings->pin_vcpus = true;
	run_pause("");
	write_bundle("a", "{\"cpu\":{\"cpus\":\"0-1\",\"mems\":\"0\"}}");
	cr_assert_eq(bench_create().err.code, ERROR_NONE);
	free(take_ptr(&bench.bundle));
	cr_expect(fake_logged("pin 2"));
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	cr_expect_eq(bench_update("{\"cpu\":{\"cpus\":\"1\"}}").err.code, ERROR_NONE);
	cr_expect(fake_logged("pin 1"));
	cr_expect_eq(bench_update("{\"cpu\":{\"quota\":-1}}").err.code, ERROR_NONE);
	cr_expect_not(fake_logged("pin 0"));
	cr_expect_eq(bench_update("{\"cpu\":{\"cpus\":\"1-\"}}").err.code, ERROR_INVALID_ARGUMENT);
}

Test(pod_size, that_is_static_stays)
{
	bench.settings->static_size = true;
	run_pause(SIZED);
	cr_expect_eq(fake.memory_mib, 768);
	cr_expect_eq(fake.memory_max_mib, 768);
	cr_expect_eq(fake.vcpus_max, fake.vcpus);
	expect_created("a", 700 * MIB);
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	cr_expect_eq(bench_update("{\"memory\":{\"limit\":2147483648}}").err.code, ERROR_NONE);
	cr_expect(fake_logged("UpdateContainer a"));
	cr_expect_not(strstr(fake.log, "resize"));
}

Test(pod_size, of_a_single_container_is_known_at_the_start)
{
	autofree char *config = mem_printf(
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"
		"\"root\":{\"path\":\"rootfs\"},\"linux\":{\"resources\":" MEMORY
		",\"namespaces\":[{\"type\":\"network\"}]}}",
		128 * MIB);

	pod_bench_write_config(config);
	bench_serve(60000);
	cr_assert_eq(bench_create().err.code, ERROR_NONE);
	cr_expect_eq(fake.memory_mib, 384);
	cr_expect(fake.vcpus_stay);
	cr_expect_not(strstr(fake.log, "resize"));
	cr_assert_eq(bench_start("").err.code, ERROR_NONE);
	cr_expect_eq(bench_update("{\"memory\":{\"limit\":268435456}}").err.code, ERROR_NONE);
	cr_expect_eq(fake.memory_mib, 512);
}
