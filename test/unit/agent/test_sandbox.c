#include "agent/pod/sandbox.h"

#include <criterion/criterion.h>
#include <string.h>

#include "test/unit/agent/host.h"

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
	Grpc__CreateSandboxRequest dns = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	Grpc__CreateSandboxRequest pids = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	Grpc__CreateSandboxRequest hooks = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	char *line = "nameserver 1.2.3.4";

	dns.dns = &line;
	dns.n_dns = 1;
	assert_refused(&dns, "dns");
	pids.sandbox_pidns = 1;
	assert_refused(&pids, "sandbox_pidns");
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
