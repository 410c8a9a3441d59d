/*
 * The end of the machine under the calls about its processes: each tells what it died of.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_guest.h"
#include "service_bench.h"
#include "shim/pod/pod_size.h"
#include "shim/pod/sandbox.h"

TestSuite(machine_end, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(machine_end, the_death_of_the_vm_is_137_and_delete_works)
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

/* Its last steps end at once, when those who wait for the exit are being told of it. */
Test(machine_end, a_delete_that_the_machines_end_brings_to_its_end_tells_all_who_wait)
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

Test(machine_end, the_death_of_the_vm_during_start_ends_it_too)
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

Test(machine_end, the_death_of_the_vm_during_create_is_its_cause)
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

Test(machine_end, create_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_serve(60000);
	fake.holds = "CreateContainer";
	bench_ask_create(&answer);
	expect_cause(&answer);
	cr_expect_eq(fake.mounts, 0);
}

Test(machine_end, start_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_serve(60000);
	bench_create();
	fake.holds = "StartContainer";
	bench_ask_start(&answer, "");
	expect_cause(&answer);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(machine_end, start_of_an_exec_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_run_container();
	bench_exec("e");
	fake.holds = "ExecProcess";
	bench_ask_start(&answer, "e");
	expect_cause(&answer);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(machine_end, update_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_run_container();
	fake.holds = "UpdateContainer";
	bench_ask_update(&answer, "{}");
	expect_cause(&answer);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(machine_end, kill_tells_what_the_guest_died_of)
{
	struct answer answer;

	bench_run_container();
	fake.holds = "SignalProcess";
	bench_ask_kill(&answer, 15);
	expect_cause(&answer);
	cr_expect_eq(bench_delete("").status, 137);
}

Test(machine_end, what_the_agent_cannot_do_now_is_its_own_answer)
{
	struct answer answer;

	fake.fails = "StartContainer";
	error_set(&fake.refusal, ERROR_UNAVAILABLE, "not now");
	bench_serve(60000);
	bench_create();
	answer = bench_start("");
	bench_expect_refused(answer, ERROR_UNAVAILABLE, "not now");
}

static void on_explained(void *ctx, const struct error *err)
{
	error_copy(ctx, err);
}

Test(machine_end, an_error_while_the_machine_boots_is_its_own_explanation)
{
	const struct pod_size size = { .start = { 1, 128 } };
	const struct sandbox_config config = {
		.machine = {
			.id = "c",
			.hostname = "h",
			.pod_dir = fake.dir,
			.share_dir = fake.dir,
			.install = bench.pod.install,
			.config = bench.settings,
			.size = &size,
		},
	};
	struct sandbox *sandbox = sandbox_start(bench.loop, &config, NULL, NULL);
	struct error told = { 0 }, err;
	struct sandbox_waiter waiter;

	error_set(&err, ERROR_UNAVAILABLE, "of something else");
	sandbox_explain(sandbox, &err, &waiter, on_explained, &told);
	cr_expect_str_eq(told.text, "of something else");
	sandbox_destroy(sandbox);
}
