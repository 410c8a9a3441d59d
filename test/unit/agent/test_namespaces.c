#include "agent/pod/namespaces.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"
#include "container_bench.h"

static struct bench bench;
static struct pod_namespaces *namespaces;

/* The spec as it comes: without a pid namespace. */
static void drop_pid_namespace(void)
{
	Grpc__Linux *config = bench.spec->linux;
	size_t i = 0;

	while (strcmp(config->namespaces[i]->type, "pid") != 0)
		i++;
	grpc__linux_namespace__free_unpacked(config->namespaces[i], NULL);
	config->namespaces[i] = config->namespaces[--config->n_namespaces];
}

static struct pod_namespaces_join join;
static bool joined;

static void on_joined(void *ctx, const struct error *err)
{
	joined = true;
	error_copy(&bench.err, err);
}

static void begin(void)
{
	join = (struct pod_namespaces_join){ .spec = bench.spec, .done = on_joined };
	joined = false;
	cr_assert_eq(pod_namespaces_complete(namespaces, &join, &bench.err), 0, "%s",
	             bench.err.text);
}

static void complete(void)
{
	drop_pid_namespace();
	begin();
	while (!joined)
		ev_run(bench.loop, EVRUN_ONCE);
	cr_assert_eq(bench.err.code, ERROR_NONE, "%s", bench.err.text);
}

static void run(const char *command)
{
	bench_command(bench.spec->process, command);
	cr_assert_eq(bench_run(&bench), 0, "%s", bench.err.text);
}

static void setup(void)
{
	bench_init(&bench);
	namespaces = pod_namespaces_create(bench.loop);
}

static void teardown(void)
{
	pod_namespaces_destroy(namespaces);
	bench_fini(&bench);
	ev_loop_destroy(bench.loop);
}

TestSuite(namespaces, .init = setup, .fini = teardown);

Test(namespaces, nothing_is_made_for_a_container_that_has_its_own)
{
	size_t rows = bench.spec->linux->n_namespaces;

	begin();
	cr_expect(joined);
	cr_expect_eq(bench.spec->linux->n_namespaces, rows);
	cr_expect_eq(pod_namespaces_pause(namespaces), 0);
}

Test(namespaces, the_agent_is_not_in_the_pod_s)
{
	complete();
	run("cat /proc/1/comm; tr '\\0' ' ' </proc/1/cmdline; ls /proc; kill -9 1; kill -0 1 && "
	    "echo lives");
	cr_expect_eq(strncmp(bench.output, "pause\nkata-agent pause ", 23), 0, "%s", bench.output);
	bench_has_not(&bench, "test_agent");
	bench_has(&bench, "lives\n");
}

Test(namespaces, pause_has_no_capabilities_and_an_empty_root)
{
	complete();
	autofree char *command =
		mem_printf("cat /proc/%d/status; ls -a /proc/%d/root/; ls /proc/%d/fd",
	                   pod_namespaces_pause(namespaces), pod_namespaces_pause(namespaces),
	                   pod_namespaces_pause(namespaces));
	FILE *shell = popen(command, "r");

	cr_assert_not_null(shell);
	bench.output[fread(bench.output, 1, sizeof(bench.output) - 1, shell)] = '\0';
	pclose(shell);
	bench_has(&bench, "Name:\tpause\n");
	bench_has(&bench, "CapPrm:\t0000000000000000\n");
	bench_has(&bench, "CapBnd:\t0000000000000000\n");
	bench_has(&bench, "NoNewPrivs:");
	cr_expect_not_null(strstr(bench.output, "\n.\n..\n"), "%s", bench.output);
	cr_expect_str_eq(strstr(bench.output, "\n.\n..\n"), "\n.\n..\n");
}

Test(namespaces, pause_reaps_what_is_left_to_it)
{
	complete();
	run("sh -c 'sleep 0.1 & exec true'; sleep 0.5; cat /proc/[0-9]*/stat");
	bench_has(&bench, "1 (pause) S ");
	bench_has_not(&bench, "(sleep) Z");
}

Test(namespaces, the_next_container_gets_a_new_one_when_pause_has_died)
{
	pid_t first;

	complete();
	first = pod_namespaces_pause(namespaces);
	cr_assert_gt(first, 0);
	bench_command(bench.spec->process, "sleep 1000");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	cr_assert_eq(kill(first, SIGKILL), 0);
	/* A pid namespace's init ends after all that was in it has been reaped. */
	cr_assert_eq(waitpid(launch_pid(bench.init), &bench.status, 0), launch_pid(bench.init));
	cr_expect_eq(WTERMSIG(bench.status), SIGKILL);
	while (pod_namespaces_pause(namespaces))
		ev_run(bench.loop, EVRUN_ONCE);
	cr_expect_eq(kill(first, 0), -1, "pause was not reaped");
	complete();
	cr_assert_neq(pod_namespaces_pause(namespaces), 0);
	run("cat /proc/1/comm");
	cr_expect_str_eq(bench.output, "pause\n");
}

static unsigned int ticks;

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
	ticks++;
}

/* Stopped on its way: long before it can have executed anything. */
Test(namespaces, a_pause_that_is_never_ready_stops_nothing_else_and_fails_in_the_end)
{
	ev_timer tick;
	pid_t pause_pid;

	ev_timer_init(&tick, on_tick, 0.1, 0.1);
	ev_timer_start(bench.loop, &tick);
	drop_pid_namespace();
	begin();
	pause_pid = pod_namespaces_pause(namespaces);
	cr_assert_eq(kill(pause_pid, SIGSTOP), 0);
	cr_expect_not(joined);
	while (!joined)
		ev_run(bench.loop, EVRUN_ONCE);
	ev_timer_stop(bench.loop, &tick);
	cr_expect_eq(bench.err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_str_eq(bench.err.text,
	                 "cannot make the pod's pid namespace: not ready within 5000 ms");
	cr_expect_gt(ticks, 20);
	cr_expect_eq(pod_namespaces_pause(namespaces), 0);
	begin();
	while (!joined)
		ev_run(bench.loop, EVRUN_ONCE);
	cr_expect_eq(bench.err.code, ERROR_NONE, "the next container may have a new one");
}

Test(namespaces, one_pause_is_made_for_all_that_wait_but_those_that_have_left)
{
	struct pod_namespaces_join gone;

	drop_pid_namespace();
	begin();
	gone = (struct pod_namespaces_join){ .spec = bench.spec };
	cr_assert_eq(pod_namespaces_complete(namespaces, &gone, &bench.err), 0);
	pod_namespaces_leave(&gone);
	pod_namespaces_leave(&gone);
	while (!joined)
		ev_run(bench.loop, EVRUN_ONCE);
	cr_expect_eq(bench.err.code, ERROR_NONE, "%s", bench.err.text);
}

Test(namespaces, a_pause_that_dies_early_is_told)
{
	drop_pid_namespace();
	begin();
	cr_assert_eq(kill(pod_namespaces_pause(namespaces), SIGKILL), 0);
	while (!joined)
		ev_run(bench.loop, EVRUN_ONCE);
	cr_expect_eq(bench.err.code, ERROR_ABORTED);
	cr_expect_str_eq(bench.err.text,
	                 "cannot make the pod's pid namespace: the pause process died");
}
