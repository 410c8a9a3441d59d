/*
 * What Create refuses, and what a Create that fails leaves.
 */
#include <criterion/criterion.h>

#include "common/mem.h"
#include "fake_guest.h"
#include "proto/google.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "proto/ttrpc/ttrpc_client.h"
#include "service_bench.h"

#define T(name) Containerd__Task__V2__##name

TestSuite(create, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

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

Test(create, create_takes_options_that_are_ours)
{
	bench_serve(60000);
	cr_expect_eq(create_with_options("runtimeoptions.v1.Options").err.code, ERROR_NONE);
}

Test(create, create_refuses_options_of_another_runtime)
{
	bench_serve(60000);
	bench_expect_refused(
		create_with_options("containerd.runc.v1.Options"), ERROR_INVALID_ARGUMENT,
		"runtime options of type \"containerd.runc.v1.Options\" are runc's, as those "
		"of ctr's --no-pivot and --uidmap: expected runtimeoptions.v1.Options");
	cr_expect_eq(fake.mounts, 0);
}

Test(create, what_the_guest_refuses_to_create_fails_create_and_ends_the_pod)
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
Test(create, a_create_that_is_tried_again_has_the_first_cause)
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

Test(create, a_vm_that_cannot_start_is_told_by_create)
{
	fake.vm_refuses = "kernel \"/nosuch\": No such file or directory";
	bench_serve(60000);
	bench_settle();
	bench_expect_refused(
		bench_create(), ERROR_NOT_FOUND,
		"cannot boot the virtual machine: kernel \"/nosuch\": No such file or directory");
	bench_shutdown();
	cr_expect(bench_wait_until(&bench.ended));
}

Test(create, a_guest_that_dies_while_booting_is_told_with_its_last_words)
{
	struct answer answer;

	fake.boot_dies = "QEMU exited with status 1";
	bench_serve(60000);
	answer = bench_create();
	bench_expect_refused(
		answer, ERROR_UNKNOWN,
		"cannot boot the virtual machine: QEMU exited with status 1; the console's "
		"last lines: last | words");
	cr_expect_eq(fake.mounts, 0);
	bench_shutdown();
	cr_expect(bench_wait_until(&bench.ended));
}

Test(create, a_setting_that_the_guest_refuses_is_told_without_its_last_words)
{
	fake.fails = "CreateSandbox";
	error_set(&fake.refusal, ERROR_INVALID_ARGUMENT, "invalid sysctls \"net.nosuch\"");
	bench_serve(60000);
	bench_expect_refused(bench_create(), ERROR_INVALID_ARGUMENT,
	                     "invalid sysctls \"net.nosuch\"");
	bench_shutdown();
	cr_expect(bench_wait_until(&bench.ended));
}

/* containerd, killed meanwhile, comes back and knows nothing of it. */
Test(create, a_container_whose_create_nobody_waits_for_goes)
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

Test(create, a_stream_that_cannot_be_opened_fails_create)
{
	bench.fifos[1] = bench_make_fifo("out");
	fake.streams_refuse = true;
	bench_serve(60000);
	cr_expect_eq(bench_create().err.code, ERROR_UNAVAILABLE);
	cr_expect_eq(fake.mounts, 0);
}

Test(create, a_fifo_that_is_not_there_fails_create)
{
	bench.fifos[1] = "/nosuch/out";
	bench_serve(60000);
	bench_expect_refused(bench_create(), ERROR_UNKNOWN,
	                     "cannot open \"/nosuch/out\" for output: No such file or directory");
}
