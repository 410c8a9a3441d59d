#include "agent/pod/namespaces.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launch/namespaces.h"
#include "common/mem.h"
#include "container_bench.h"
#include "proto/message.h"

static struct bench bench;
static struct pod_namespaces *namespaces;

static struct pod_namespaces_join join = { .pid_namespace = -1 };
static bool joined;

static void on_joined(void *ctx, const struct error *err)
{
	joined = true;
	cleanup_close(&bench.pid_namespace);
	bench.pid_namespace = join.pid_namespace;
	error_copy(&bench.err, err);
}

static void begin(void)
{
	join = (struct pod_namespaces_join){ .done = on_joined };
	joined = false;
	cr_assert_eq(pod_namespaces_join_pid(namespaces, &join, &bench.err), 0, "%s",
	             bench.err.text);
}

static void complete(void)
{
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
	cleanup_close(&bench.pid_namespace);
	pod_namespaces_destroy(namespaces);
	bench_fini(&bench);
	ev_loop_destroy(bench.loop);
}

TestSuite(namespaces, .init = setup, .fini = teardown);

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

	begin();
	gone = (struct pod_namespaces_join){ 0 };
	cr_assert_eq(pod_namespaces_join_pid(namespaces, &gone, &bench.err), 0);
	pod_namespaces_leave(&gone);
	pod_namespaces_leave(&gone);
	while (!joined)
		ev_run(bench.loop, EVRUN_ONCE);
	cr_expect_eq(bench.err.code, ERROR_NONE, "%s", bench.err.text);
}

Test(namespaces, a_pause_that_dies_early_is_told)
{
	begin();
	cr_assert_eq(kill(pod_namespaces_pause(namespaces), SIGKILL), 0);
	while (!joined)
		ev_run(bench.loop, EVRUN_ONCE);
	cr_expect_eq(bench.err.code, ERROR_ABORTED);
	cr_expect_str_eq(bench.err.text,
	                 "cannot make the pod's pid namespace: the pause process died");
}

Test(namespaces, pause_reaps_zombies_that_their_parents_have_left)
{
	complete();
	run("sh -c '(true & true & exec sleep 0.3) & exec true'; sleep 0.8; cat "
	    "/proc/[0-9]*/stat");
	bench_has(&bench, "1 (pause) S ");
	bench_has_not(&bench, ") Z ");
}

Test(namespaces, pause_ends_of_no_signal_but_the_agent_s_sigkill)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGCHLD };
	pid_t pid;

	complete();
	pid = pod_namespaces_pause(namespaces);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		cr_assert_eq(kill(pid, signals[i]), 0);
	run("for s in TERM INT HUP KILL STOP; do kill -$s 1; done; cat /proc/1/status");
	bench_has(&bench, "State:\tS ");
	cr_expect_eq(pod_namespaces_pause(namespaces), pid);
}

Test(namespaces, a_joined_one_has_terminals_and_execs)
{
	Grpc__Process *process = bench_process(&bench);

	complete();
	bench.spec->process->terminal = 1;
	run("echo of the terminal >/dev/tty; tty");
	bench_has(&bench, "of the terminal");
	bench_has(&bench, "/dev/pts/0");
	bench.spec->process->terminal = 0;
	bench_command(bench.spec->process, "sleep 1000");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	bench_command(process, "cat /proc/1/comm; ps");
	cr_assert_eq(bench_exec(&bench, process), 0, "%s", bench.err.text);
	bench_has(&bench, "pause\n");
	bench_has(&bench, "sleep 1000");
	message_free(&process->base);
}

Test(namespaces, each_proc_of_a_joined_one_has_options_of_its_own)
{
	Grpc__Mount *proc = bench.spec->mounts[0];

	complete();
	run("cat /proc/mounts");
	bench_has(&bench, "proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0");
	proc->options = mem_realloc(proc->options, (proc->n_options + 1) * sizeof(char *));
	proc->options[proc->n_options++] = mem_strdup("hidepid=2");
	run("cat /proc/mounts");
	bench_has(&bench, "hidepid=");
	free(proc->options[--proc->n_options]);
	run("cat /proc/mounts");
	bench_has_not(&bench, "hidepid=");
}

/* A container with a pid namespace of its own, and that namespace. */
static void start_another(void)
{
	bench_command(bench.spec->process, "sleep 1234");
	cr_assert_eq(bench_start(&bench), 0, "%s", bench.err.text);
	bench.pid_namespace =
		namespaces_open_pid(launch_pid(bench.init), launch_pidfd(bench.init), &bench.err);
	cr_assert_geq(bench.pid_namespace, 0, "%s", bench.err.text);
}

Test(namespaces, of_another_container_is_joined)
{
	start_another();
	run("ps; tr '\\0' ' ' </proc/1/cmdline");
	bench_has(&bench, "    1 root     sleep 1234\n");
}

Test(namespaces, that_has_ended_is_not_joined)
{
	start_another();
	cr_assert_eq(kill(launch_pid(bench.init), SIGKILL), 0);
	cr_assert_eq(waitpid(launch_pid(bench.init), &bench.status, 0), launch_pid(bench.init));
	cr_expect_lt(
		namespaces_open_pid(launch_pid(bench.init), launch_pidfd(bench.init), &bench.err),
		0);
	cr_expect_str_eq(bench.err.text, "it has ended");
	bench_refuses(&bench, "true", ERROR_FAILED_PRECONDITION,
	              "make the mounts: cannot open the pid namespace's /proc: the pid namespace "
	              "has ended");
}

static void name_pid_namespace(char *path)
{
	Grpc__Linux *config = bench.spec->linux;
	size_t i = 0;

	while (strcmp(config->namespaces[i]->type, "pid") != 0)
		i++;
	if (*config->namespaces[i]->path)
		free(config->namespaces[i]->path);
	config->namespaces[i]->path = path;
}

Test(namespaces, that_the_spec_names_is_joined_unless_it_is_the_agent_s)
{
	complete();
	cleanup_close(&bench.pid_namespace);
	name_pid_namespace(mem_printf("/proc/%d/ns/pid", pod_namespaces_pause(namespaces)));
	run("cat /proc/1/comm");
	cr_expect_str_eq(bench.output, "pause\n");
	name_pid_namespace(mem_strdup("/proc/self/ns/pid"));
	bench_refuses(&bench, "true", ERROR_PERMISSION_DENIED, "the pid namespace is the agent's");
	name_pid_namespace(mem_strdup("/nosuch"));
	bench_refuses(&bench, "true", ERROR_UNKNOWN,
	              "cannot open the pid namespace \"/nosuch\": No such file or directory");
}

static void drop_namespace(const char *type)
{
	Grpc__Linux *config = bench.spec->linux;
	size_t i = 0;

	while (strcmp(config->namespaces[i]->type, type) != 0)
		i++;
	grpc__linux_namespace__free_unpacked(config->namespaces[i], NULL);
	config->namespaces[i] = config->namespaces[--config->n_namespaces];
}

/* A pod's container, in a guest that has the pod's name and namespaces. */
Test(namespaces, that_a_container_does_not_name_are_the_guest_s)
{
	static Grpc__Linux__SysctlEntry entry = GRPC__LINUX__SYSCTL_ENTRY__INIT;
	Grpc__Linux__SysctlEntry *entries[] = { &entry };

	cr_assert_eq(unshare(CLONE_NEWUTS | CLONE_NEWIPC), 0);
	cr_assert_eq(sethostname("pod-1", 5), 0);
	drop_namespace("uts");
	drop_namespace("ipc");
	bench_refuses(
		&bench, "true", ERROR_INVALID_ARGUMENT,
		"invalid hostname \"bench\": the pod's is \"pod-1\", and the container has no "
		"uts namespace of its own");
	free(bench.spec->hostname);
	bench.spec->hostname = mem_strdup("pod-1");
	run("hostname; hostname other || echo "
	    "refused");
	bench_has(&bench, "pod-1\n");
	bench_has(&bench, "refused\n");
	entry.key = "kernel.shmmax";
	entry.value = "4096";
	bench.spec->linux->sysctl = entries;
	bench.spec->linux->n_sysctl = 1;
	bench_refuses(
		&bench, "true", ERROR_INVALID_ARGUMENT,
		"invalid linux.sysctl \"kernel.shmmax\": not in a namespace of the container");
	bench.spec->linux->n_sysctl = 0;
	bench.spec->linux->sysctl = NULL;
}
