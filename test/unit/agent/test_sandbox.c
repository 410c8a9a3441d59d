#include "agent/pod/sandbox.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/guest/resolv_conf.h"
#include "agent/pod/container.h"
#include "common/file.h"
#include "common/mem.h"
#include "proto/limits.h"
#include "test/unit/agent/fakes.h"
#include "test/unit/agent/host.h"
#include "test/unit/agent/storage_bench.h"

static void assert_refused(Grpc__CreateSandboxRequest *request, const char *word)
{
	struct host_call call;
	struct host host;

	host_init(&host);
	cr_assert_eq(host_call(&host, "CreateSandbox", &request->base, &call), ERROR_UNIMPLEMENTED);
	cr_assert(strstr(call.err.text, word), "'%s' names %s", call.err.text, word);
	host_fini(&host);
}

Test(sandbox, refuses_by_name_what_it_cannot_do)
{
	Grpc__CreateSandboxRequest hooks = GRPC__CREATE_SANDBOX_REQUEST__INIT;

	hooks.guest_hook_path = "/hooks";
	assert_refused(&hooks, "guest_hook_path");
}

Test(sandbox, an_unknown_storage_driver_is_named)
{
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	Grpc__Storage storage = GRPC__STORAGE__INIT;
	Grpc__Storage *storages = &storage;

	storage.driver = "nvdimm";
	request.storages = &storages;
	request.n_storages = 1;
	assert_refused(&request, "storages[0]: storage driver \"nvdimm\"");
}

Test(sandbox, exists_once)
{
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	struct host host;

	host_init(&host);
	cr_assert_eq(host_call(&host, "CreateSandbox", &request.base, NULL), ERROR_NONE);
	cr_assert_eq(host_call(&host, "CreateSandbox", &request.base, NULL), ERROR_ALREADY_EXISTS);
	host_fini(&host);
}

Test(sandbox, holds_several_containers)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exit 1", 0), ERROR_NONE);
	cr_assert_eq(host_create(&host, "c2", "exit 2", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c2"), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", ""), 1);
	cr_assert_eq(host_wait(&host, "c2", ""), 2);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NOT_FOUND);
	host_fini(&host);
}

Test(sandbox, ends_with_containers_and_calls_under_way)
{
	struct host_call wait;
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exit 1", 0), ERROR_NONE);
	host_begin_wait(&host, "c1", "", &wait);
	cr_assert_eq(host_signal(&host, "c1", "none", 0), ERROR_NOT_FOUND);
	sandbox_destroy(host.sandbox);
	host.sandbox = NULL;
	host_finish(&host, &wait);
	cr_assert_eq(wait.err.code, ERROR_NOT_FOUND);
	host_fini(&host);
}

static void count(void *ctx, const struct error *err)
{
	++*(int *)ctx;
}

/* sync(2) waits as long as a disk wants: a child does, and the loop turns meanwhile. */
Test(sandbox, teardown_is_a_child_s_work_and_lets_nothing_in)
{
	struct host_call wait;
	struct error err;
	struct host host;
	int done = 0;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 1000", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	host_begin_wait(&host, "c1", "", &wait);
	cr_assert_eq(sandbox_teardown(host.sandbox, count, &done, &err), 0, "%s", err.text);
	cr_expect_eq(done, 0);
	cr_expect_eq(host_create(&host, "c2", "true", 0), ERROR_FAILED_PRECONDITION);
	cr_expect_lt(sandbox_teardown(host.sandbox, count, &done, &err), 0);
	cr_expect_str_eq(err.text, "the sandbox is being destroyed");
	host_finish(&host, &wait);
	cr_expect_eq(wait.status, 137);
	while (!done)
		host_turn(&host);
	cr_expect_eq(done, 1);
	host_fini(&host);
}

static void begin_setup(struct host *host, Grpc__Storage **storages, size_t n,
                        struct host_call *call)
{
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;

	request.storages = storages;
	request.n_storages = n;
	host_begin(host, "CreateSandbox", &request.base, call);
}

static enum error_code setup(struct host *host, Grpc__Storage *storage, struct host_call *call)
{
	begin_setup(host, &storage, 1, call);
	host_finish(host, call);
	return call->err.code;
}

static void begin_create(struct host *host, const char *id, Grpc__Storage **storages, size_t n,
                         struct host_call *call)
{
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Root root = GRPC__ROOT__INIT;
	char *args[] = { "sleep", "1000" };

	process.args = args;
	process.n_args = 2;
	spec.process = &process;
	spec.root = &root;
	request.container_id = (char *)id;
	request.oci = &spec;
	request.storages = storages;
	request.n_storages = n;
	host_begin(host, "CreateContainer", &request.base, call);
}

static enum error_code create(struct host *host, const char *id, Grpc__Storage *storage,
                              struct host_call *call)
{
	begin_create(host, id, &storage, 1, call);
	host_finish(host, call);
	return call->err.code;
}

static void init_with_storage(struct host *host)
{
	storage_bench_init();
	host_init_storage(host, storage_bench_drivers);
}

/* What was sent before has been received by the agent when it has answered this. */
static void pass_by(struct host *host)
{
	cr_assert_eq(host_signal(host, "nosuch", "", 0), ERROR_INVALID_ARGUMENT);
}

Test(sandbox, mounts_its_storages_and_unmounts_them_at_its_teardown)
{
	Grpc__Storage *storage = storage_bench_new("memory", "share");
	struct host_call call;
	struct error err;
	struct host host;
	int done = 0;

	init_with_storage(&host);
	cr_assert_eq(setup(&host, storage, &call), ERROR_NONE, "%s", call.err.text);
	cr_expect(storage_bench_mounted(storage));
	cr_assert_eq(setup(&host, storage, &call), ERROR_ALREADY_EXISTS);
	cr_assert_eq(sandbox_teardown(host.sandbox, count, &done, &err), 0, "%s", err.text);
	while (!done)
		host_turn(&host);
	cr_expect_not(storage_bench_mounted(storage));
	host_fini(&host);
}

Test(sandbox, that_cannot_be_set_up_leaves_nothing_and_may_come_again)
{
	Grpc__Storage *storages[] = { storage_bench_new("memory", "one"),
		                      storage_bench_new("hang", "two") };
	struct host_call call, again;
	struct host host;

	init_with_storage(&host);
	begin_setup(&host, storages, 2, &call);
	pass_by(&host);
	cr_expect_eq(setup(&host, storages[0], &again), ERROR_ALREADY_EXISTS, "it is under way");
	host_finish(&host, &call);
	cr_expect_eq(call.err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_not_null(strstr(call.err.text, "\"/tmp/two\""), "%s", call.err.text);
	cr_expect_not(storage_bench_mounted(storages[0]));
	cr_expect_eq(setup(&host, storages[0], &again), ERROR_NONE);
	host_fini(&host);
}

Test(sandbox, unmounts_what_was_a_container_s_alone_when_it_is_removed)
{
	Grpc__Storage *share = storage_bench_new("memory", "share");
	Grpc__Storage *storages[] = { share, storage_bench_new("memory", "own") };
	struct host_call call;
	struct host host;

	init_with_storage(&host);
	cr_assert_eq(setup(&host, share, &call), ERROR_NONE);
	begin_create(&host, "c1", storages, 2, &call);
	host_finish(&host, &call);
	cr_assert_eq(call.err.code, ERROR_NONE, "%s", call.err.text);
	cr_expect(storage_bench_mounted(storages[1]));
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	cr_expect_not(storage_bench_mounted(storages[1]));
	cr_expect(storage_bench_mounted(share));
	host_fini(&host);
}

Test(sandbox, leaves_nothing_of_a_container_that_fails_after_its_storages)
{
	Grpc__Storage *storage = storage_bench_new("memory", "own");
	struct host_call call;
	struct host host;

	init_with_storage(&host);
	fake_cgroup.refuse_limits = true;
	cr_assert_eq(create(&host, "c1", storage, &call), ERROR_FAILED_PRECONDITION);
	cr_expect_not(storage_bench_mounted(storage));
	cr_expect_eq(fake_cgroup.alive, 0);
	fake_cgroup.refuse_limits = false;
	cr_assert_eq(create(&host, "c1", storage, &call), ERROR_NONE, "%s", call.err.text);
	host_fini(&host);
}

Test(sandbox, goes_on_while_a_container_s_storage_hangs)
{
	Grpc__Storage *storage = storage_bench_new("hang", "hangs");
	struct container *container;
	struct host_call call;
	struct error err;
	struct host host;

	init_with_storage(&host);
	begin_create(&host, "c1", &storage, 1, &call);
	pass_by(&host);
	cr_expect_eq(host_create(&host, "c1", "true", 0), ERROR_ALREADY_EXISTS);
	cr_expect_eq(host_remove(&host, "c1"), ERROR_FAILED_PRECONDITION);
	cr_expect_eq(host_start(&host, "c1"), ERROR_FAILED_PRECONDITION);
	cr_expect_lt(sandbox_find(host.sandbox, "c1", ERROR_NOT_FOUND, &container, &err), 0);
	cr_expect_str_eq(err.text, "container \"c1\" is being created");
	cr_expect_eq(host_create(&host, "c2", "exit 3", 0), ERROR_NONE);
	cr_expect_eq(host_start(&host, "c2"), ERROR_NONE);
	cr_expect_eq(host_wait(&host, "c2", ""), 3);
	cr_expect_not(call.done);
	host_finish(&host, &call);
	cr_expect_eq(call.err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_eq(host_create(&host, "c1", "true", 0), ERROR_NONE, "its id is free again");
	host_fini(&host);
}

static void assert_teardown_ends(Grpc__Storage **of_sandbox, size_t n, Grpc__Storage *of_container)
{
	struct host_call set_up, created;
	struct error err;
	struct host host;
	int done = 0;

	init_with_storage(&host);
	begin_setup(&host, of_sandbox, n, &set_up);
	if (of_container)
		begin_create(&host, "c1", &of_container, 1, &created);
	pass_by(&host);
	cr_assert_eq(sandbox_teardown(host.sandbox, count, &done, &err), 0, "%s", err.text);
	host_finish(&host, &set_up);
	if (n)
		cr_expect_str_eq(set_up.err.text, "the sandbox is being destroyed");
	if (of_container) {
		host_finish(&host, &created);
		cr_expect_eq(created.err.code, ERROR_FAILED_PRECONDITION);
		cr_expect_str_eq(created.err.text, "the sandbox is being destroyed");
		cr_expect_eq(fake_cgroup.alive, 0);
	}
	while (!done)
		host_turn(&host);
	host_fini(&host);
}

Test(sandbox, that_is_torn_down_answers_a_setup_that_hangs)
{
	Grpc__Storage *storages[] = { storage_bench_new("memory", "one"),
		                      storage_bench_new("hang", "two") };

	assert_teardown_ends(storages, 2, NULL);
	cr_expect_not(storage_bench_mounted(storages[0]));
}

Test(sandbox, that_is_torn_down_answers_a_creation_that_hangs)
{
	assert_teardown_ends(NULL, 0, storage_bench_new("hang", "two"));
}

Test(sandbox, that_is_destroyed_answers_all_that_is_under_way)
{
	Grpc__Storage *storages[] = { storage_bench_new("hang", "one"),
		                      storage_bench_new("hang", "two") };
	Grpc__RemoveContainerRequest removal = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	struct host_call set_up, created, removed;
	struct host host;

	init_with_storage(&host);
	cr_assert_eq(host_create(&host, "c2", "true", 0), ERROR_NONE);
	fake_cgroup.busy = 1000;
	removal.container_id = "c2";
	host_begin(&host, "RemoveContainer", &removal.base, &removed);
	begin_setup(&host, &storages[0], 1, &set_up);
	begin_create(&host, "c1", &storages[1], 1, &created);
	pass_by(&host);
	sandbox_destroy(host.sandbox);
	host.sandbox = NULL;
	host_finish(&host, &set_up);
	host_finish(&host, &created);
	host_finish(&host, &removed);
	cr_expect_str_eq(set_up.err.text, "the sandbox was destroyed");
	cr_expect_str_eq(created.err.text, "the sandbox was destroyed");
	cr_expect_str_eq(removed.err.text, "the sandbox was destroyed");
	host_fini(&host);
}

static enum error_code create_in(struct host *host, const char *id, bool of_pod,
                                 const char *of_container, struct host_call *call)
{
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Root root = GRPC__ROOT__INIT;
	char *args[] = { "sleep", "1000" };

	process.args = args;
	process.n_args = 2;
	spec.process = &process;
	spec.root = &root;
	request.container_id = (char *)id;
	request.oci = &spec;
	request.sandbox_pidns = of_pod;
	request.pid_namespace_of = (char *)of_container;
	host_begin(host, "CreateContainer", &request.base, call);
	if (!fake_namespaces.wait)
		host_finish(host, call);
	return call->err.code;
}

Test(sandbox, begins_the_pod_s_pid_namespace_when_it_is_to_be_shared)
{
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	struct host_call call;
	struct host host;

	host_init(&host);
	request.sandbox_pidns = 1;
	cr_assert_eq(host_call(&host, "CreateSandbox", &request.base, NULL), ERROR_NONE);
	cr_expect_eq(fake_namespaces.prepared, 1);
	cr_assert_eq(create_in(&host, "c1", false, "", &call), ERROR_NONE);
	cr_expect_eq(fake_namespaces.joined, 0, "one that does not ask for it has its own");
	cr_assert_eq(create_in(&host, "c2", true, "", &call), ERROR_NONE, "%s", call.err.text);
	cr_expect_eq(fake_namespaces.joined, 1);
	cr_expect(fake_children[1].joins_pids);
	cr_expect_not(fake_children[0].joins_pids);
	host_fini(&host);
}

Test(sandbox, a_container_joins_the_pid_namespace_of_another)
{
	struct host_call call;
	struct host host;

	host_init(&host);
	cr_assert_eq(create_in(&host, "c1", false, "", &call), ERROR_NONE);
	cr_assert_eq(create_in(&host, "c2", false, "c1", &call), ERROR_NONE, "%s", call.err.text);
	cr_expect(fake_children[1].joins_pids);
	cr_expect_eq(fake_namespaces.joined, 0);
	cr_assert_eq(create_in(&host, "c3", true, "c1", &call), ERROR_INVALID_ARGUMENT);
	cr_expect_str_eq(call.err.text, "CreateContainer: sandbox_pidns and pid_namespace_of: "
	                                "only one of them can be set");
	host_fini(&host);
}

Test(sandbox, a_container_whose_pid_namespace_is_not_there_is_named)
{
	struct host_call call;
	struct host host;

	host_init(&host);
	cr_assert_eq(create_in(&host, "c2", false, "nosuch", &call), ERROR_FAILED_PRECONDITION);
	cr_expect_str_eq(call.err.text, "cannot join the pid namespace of container \"nosuch\": it "
	                                "does not exist");
	cr_assert_eq(create_in(&host, "c2", false, "c2", &call), ERROR_FAILED_PRECONDITION);
	cr_expect_str_eq(call.err.text, "cannot join the pid namespace of container \"c2\": it is "
	                                "being created");
	cr_assert_eq(create_in(&host, "c1", false, "", &call), ERROR_NONE);
	cr_assert_eq(host_signal(&host, "c1", "", SIGKILL), ERROR_NONE);
	cr_assert_eq(host_wait(&host, "c1", ""), 128 + SIGKILL);
	cr_assert_eq(create_in(&host, "c2", false, "c1", &call), ERROR_FAILED_PRECONDITION);
	cr_expect_str_eq(call.err.text,
	                 "cannot join the pid namespace of container \"c1\": it is stopped");
	cr_assert_eq(create_in(&host, "c2", false, "", &call), ERROR_NONE, "its id is free again");
	host_fini(&host);
}

Test(sandbox, one_container_goes_while_another_comes)
{
	struct host_call coming;
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	fake_namespaces.wait = true;
	create_in(&host, "c2", true, "", &coming);
	cr_assert_eq(host_remove(&host, "c1"), ERROR_NONE);
	cr_expect_not(coming.done);
	cr_expect_eq(host_remove(&host, "c2"), ERROR_FAILED_PRECONDITION);
	fake_namespaces_let();
	host_finish(&host, &coming);
	cr_expect_eq(coming.err.code, ERROR_NONE, "%s", coming.err.text);
	cr_expect_eq(host_create(&host, "c1", "true", 0), ERROR_NONE);
	cr_expect_eq(host_remove(&host, "c2"), ERROR_NONE);
	host_fini(&host);
}

Test(sandbox, that_is_torn_down_answers_a_container_that_waits_for_the_pod)
{
	struct host_call coming;
	struct error err;
	struct host host;
	int done = 0;

	host_init(&host);
	fake_namespaces.wait = true;
	create_in(&host, "c1", true, "", &coming);
	pass_by(&host);
	cr_assert_eq(sandbox_teardown(host.sandbox, count, &done, &err), 0, "%s", err.text);
	host_finish(&host, &coming);
	cr_expect_str_eq(coming.err.text, "the sandbox is being destroyed");
	fake_namespaces_let();
	while (!done)
		host_turn(&host);
	host_fini(&host);
}

Test(sandbox, holds_as_many_containers_as_a_pod_may_have_with_ids_of_any_legal_length)
{
	struct host host;
	char id[CONTAINER_ID_MAX + 1];

	host_init(&host);
	for (int i = 0; i < LIMIT_CONTAINERS; i++) {
		memset(id, 'a', sizeof(id));
		snprintf(id, 4, "%d", 100 + i);
		id[3] = i % 2 ? '_' : '-';
		id[4 + i * (CONTAINER_ID_MAX - 4) / (LIMIT_CONTAINERS - 1)] = '\0';
		cr_assert_eq(host_create(&host, id, "exec sleep 100", 0), ERROR_NONE, "%s", id);
	}
	cr_expect_eq(strlen(id), CONTAINER_ID_MAX);
	cr_expect_eq(host_create(&host, "more", "true", 0), ERROR_RESOURCE_EXHAUSTED);
	cr_assert_eq(host_remove(&host, id), ERROR_NONE);
	cr_expect_eq(host_create(&host, "more", "true", 0), ERROR_NONE);
	host_fini(&host);
}

/* A pod in a crash loop: nothing of one container is left when the next one comes. */
Test(sandbox, forgets_a_container_that_is_gone)
{
	struct host host;

	host_init(&host);
	cr_assert_eq(host_create(&host, "stays", "exec sleep 100", 0), ERROR_NONE);
	for (int i = 0; i < 2 * LIMIT_CONTAINERS; i++) {
		cr_assert_eq(host_create(&host, "loops", "exit 3", 0), ERROR_NONE);
		cr_assert_eq(host_start(&host, "loops"), ERROR_NONE);
		cr_assert_eq(host_wait(&host, "loops", ""), 3);
		cr_assert_eq(host_remove(&host, "loops"), ERROR_NONE);
	}
	cr_expect_eq(fake_cgroup.alive, 1);
	host_fini(&host);
}

/* The files of a guest, below a directory of the test's own mount namespace. */
static const char *make_guest(void)
{
	static const char root[] = "/tmp/guest";

	storage_bench_init();
	cr_assert_eq(file_make_dirs("/tmp/guest/proc/sys/net/ipv4", 0755, NULL), 0);
	cr_assert_eq(file_make_dirs("/tmp/guest/proc/sys/kernel", 0755, NULL), 0);
	cr_assert_eq(file_write(AT_FDCWD, "/tmp/guest/proc/sys/net/ipv4/ip_forward", 0644, "0\n", 2,
	                        NULL),
	             0);
	cr_assert_eq(
		file_write(AT_FDCWD, "/tmp/guest/proc/sys/kernel/shmmax", 0644, "1\n", 2, NULL), 0);
	return root;
}

static void expect_file(const char *path, const char *text)
{
	autofree char *found = NULL;
	struct error err;

	cr_assert_geq(file_read(AT_FDCWD, path, 4096, &found, &err), 0, "%s", err.text);
	cr_expect_str_eq(found, text, "%s", path);
}

static enum error_code set_up_with(struct host *host, const char *key, const char *value,
                                   struct host_call *call)
{
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	Grpc__CreateSandboxRequest__SysctlsEntry rows[2];
	Grpc__CreateSandboxRequest__SysctlsEntry *pointers[] = { &rows[0], &rows[1] };

	grpc__create_sandbox_request__sysctls_entry__init(&rows[0]);
	grpc__create_sandbox_request__sysctls_entry__init(&rows[1]);
	rows[0].key = "net.ipv4.ip_forward";
	rows[0].value = "1";
	rows[1].key = (char *)key;
	rows[1].value = (char *)value;
	request.sysctls = pointers;
	request.n_sysctls = 2;
	return host_call(host, "CreateSandbox", &request.base, call);
}

Test(sandbox, writes_kernel_settings_of_the_pod_s_namespaces_and_of_no_others)
{
	struct host_call call;
	struct host host;

	host_init_root(&host, make_guest());
	cr_expect_eq(set_up_with(&host, "vm.swappiness", "1", &call), ERROR_INVALID_ARGUMENT);
	cr_expect_str_eq(call.err.text,
	                 "CreateSandbox: invalid sysctls \"vm.swappiness\": not in a "
	                 "namespace of the pod");
	cr_expect_eq(set_up_with(&host, "net/../kernel/core_pattern", "x", &call),
	             ERROR_INVALID_ARGUMENT);
	expect_file("/tmp/guest/proc/sys/net/ipv4/ip_forward", "0\n");
	cr_expect_eq(set_up_with(&host, "net.nosuch", "1", &call), ERROR_INVALID_ARGUMENT);
	cr_expect_str_eq(call.err.text, "invalid sysctls \"net.nosuch\": cannot write \"1\" to "
	                                "\"net/nosuch\": No such file or directory");
	cr_assert_eq(set_up_with(&host, "kernel.shmmax", "64", &call), ERROR_NONE, "%s",
	             call.err.text);
	expect_file("/tmp/guest/proc/sys/net/ipv4/ip_forward", "1\n");
	expect_file("/tmp/guest/proc/sys/kernel/shmmax", "64");
	host_fini(&host);
}

Test(sandbox, writes_its_resolv_conf)
{
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	char *lines[] = { "nameserver 10.0.0.2", "options ndots:5" };
	char *bad[] = { "nameserver 10.0.0.2\nnameserver 10.0.0.3" };
	char place[64];
	struct host_call call;
	struct host host;

	host_init_root(&host, make_guest());
	request.dns = bad;
	request.n_dns = 1;
	cr_expect_eq(host_call(&host, "CreateSandbox", &request.base, &call),
	             ERROR_INVALID_ARGUMENT);
	request.dns = lines;
	request.n_dns = 2;
	cr_assert_eq(host_call(&host, "CreateSandbox", &request.base, &call), ERROR_NONE, "%s",
	             call.err.text);
	expect_file("/tmp/guest" RESOLV_CONF_PATH, "nameserver 10.0.0.2\noptions ndots:5\n");
	memset(place, 0, sizeof(place));
	cr_assert_gt(readlink("/tmp/guest" RESOLV_CONF_LINKS, place, sizeof(place) - 1), 0);
	cr_expect_str_eq(place, RESOLV_CONF_PATH);
	host_fini(&host);
}

/* As upstream's runtime sends it, its place aside. */
Test(sandbox, has_a_shm_of_its_own)
{
	char *options[] = { "noexec", "nosuid", "nodev", "mode=1777", "size=67108864" };
	Grpc__Storage *storage = storage_bench_new("ephemeral", "sandbox/shm");
	struct host_call call;
	struct statfs fs;
	struct stat st;
	struct host host;

	storage_bench_init();
	host_init(&host);
	storage->source = "shm";
	storage->options = options;
	storage->n_options = 5;
	cr_assert_eq(setup(&host, storage, &call), ERROR_NONE, "%s", call.err.text);
	cr_assert_eq(statfs(storage->mount_point, &fs), 0);
	cr_expect_eq(fs.f_blocks * fs.f_bsize, 67108864);
	cr_expect_eq(fs.f_flags & (ST_NOEXEC | ST_NOSUID | ST_NODEV),
	             ST_NOEXEC | ST_NOSUID | ST_NODEV);
	cr_assert_eq(stat(storage->mount_point, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 01777);
	host_fini(&host);
	cr_expect_not(storage_bench_mounted(storage));
}
