#include <criterion/criterion.h>
#include <string.h>
#include <sys/wait.h>

#include "common/mem.h"
#include "container_bench.h"

static struct bench bench;
static Grpc__Hooks *hooks;

static void setup(void)
{
	bench_init(&bench);
	hooks = mem_new(Grpc__Hooks);
	grpc__hooks__init(hooks);
	bench.spec->hooks = hooks;
}

static void teardown(void)
{
	bench_fini(&bench);
}

TestSuite(launch_hooks, .init = setup, .fini = teardown);

/* The only one of its list: a script for the container's shell. */
static Grpc__Hook *set_hook(size_t *n, Grpc__Hook ***all, const char *script)
{
	Grpc__Hook *hook = mem_new(Grpc__Hook);

	grpc__hook__init(hook);
	hook->path = mem_strdup("/bin/sh");
	hook->n_args = 3;
	hook->args = mem_alloc(3 * sizeof(char *));
	hook->args[0] = mem_strdup("sh");
	hook->args[1] = mem_strdup("-c");
	hook->args[2] = mem_strdup(script);
	*all = mem_alloc(sizeof(void *));
	(*all)[0] = hook;
	*n = 1;
	return hook;
}

static Grpc__Hook *create_hook(const char *script)
{
	return set_hook(&hooks->n_createcontainer, &hooks->createcontainer, script);
}

static Grpc__Hook *start_hook(const char *script)
{
	return set_hook(&hooks->n_startcontainer, &hooks->startcontainer, script);
}

Test(launch_hooks, run_in_the_container_in_their_order_with_the_state_on_their_input)
{
	create_hook("cat >/tmp/create; echo >>/tmp/create; echo create >>/tmp/order");
	start_hook("cat >/tmp/start; echo >>/tmp/start; echo start >>/tmp/order");
	bench_runs(&bench, "cat /tmp/order /tmp/create /tmp/start");
	bench_has_lines(&bench, "create\nstart");
	bench_has(&bench, "\"status\":\"creating\",\"pid\":1");
	bench_has(&bench, "\"status\":\"created\",\"pid\":1");
	cr_expect_eq(bench.status, 0);
}

Test(launch_hooks, print_nothing_where_the_container_prints)
{
	create_hook("echo noise; echo noise >&2");
	start_hook("echo noise; echo noise >&2");
	bench_runs(&bench, "echo mine");
	bench_has_lines(&bench, "mine");
	bench_has_not(&bench, "noise");
}

Test(launch_hooks, can_do_no_more_than_the_container_s_process)
{
	create_hook("cat /proc/self/status >/tmp/status");
	bench_runs(&bench, "cat /tmp/status");
	bench_has_lines(&bench, "CapEff:\t00000000080000a1");
	bench_has_lines(&bench, "NoNewPrivs:\t1");
	bench_has_lines(&bench, "SigBlk:\t0000000000000000");
}

/* The child cannot work behind this one: it comes last. mkdir fails as a full disk would make it. */
#define LAST_WITHOUT_MKDIR                                                                         \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\"],"              \
	"\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":28},{\"names\":[\"write\"],\"action\":"        \
	"\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_EQ\",\"value\":4}]}]}"

Test(launch_hooks, are_behind_the_filter_that_comes_last)
{
	const char *script = "cat /proc/self/status >>/tmp/status; mkdir /x 2>>/tmp/status; true";

	bench_seccomp(&bench, LAST_WITHOUT_MKDIR);
	create_hook(script);
	start_hook(script);
	bench_runs(&bench, "grep -c Seccomp:.2 /tmp/status; grep -c 'No space' /tmp/status; "
	                   "grep Seccomp_filters /proc/self/status");
	bench_has_lines(&bench, "2\n2\nSeccomp_filters:\t1");
}

/* Making a process is not among what the container may do. */
Test(launch_hooks, run_under_a_profile_that_forbids_fork_and_comes_last)
{
	bench_seccomp(&bench, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["
	                      "\"clone\",\"clone3\",\"fork\",\"vfork\"],\"action\":"
	                      "\"SCMP_ACT_ERRNO\"},{\"names\":[\"write\"],\"action\":"
	                      "\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"op\":"
	                      "\"SCMP_CMP_EQ\",\"value\":4}]}]}");
	start_hook("echo started >/tmp/hook");
	bench_runs(&bench, "read -r text </tmp/hook; echo $text");
	bench_has_lines(&bench, "started");
}

Test(launch_hooks, that_fail_are_told_with_the_last_that_they_printed)
{
	create_hook("echo first; echo no such bridge; exit 3");
	bench_refuses(&bench, "true", ERROR_UNKNOWN,
	              "hooks.createContainer[0] \"/bin/sh\" exited with status 3: no such bridge");
	cr_expect_not(bench.created);
}

Test(launch_hooks, that_fail_at_the_start_fail_it)
{
	start_hook("kill -9 $$");
	bench_refuses(&bench, "true", ERROR_UNKNOWN,
	              "hooks.startContainer[0] \"/bin/sh\" was killed by signal 9");
	cr_expect(bench.created);
}

Test(launch_hooks, that_do_not_end_in_time_are_killed)
{
	create_hook("exec sleep 1000")->timeout = 1;
	bench_refuses(&bench, "true", ERROR_DEADLINE_EXCEEDED,
	              "hooks.createContainer[0] \"/bin/sh\" was killed: not ended in time");
}

Test(launch_hooks, of_the_host_are_refused_by_name)
{
	Grpc__Hook *hook = start_hook("true");

	free(hook->path);
	hook->path = mem_strdup("/usr/bin/nvidia-ctk");
	bench_refuses(&bench, "true", ERROR_INVALID_ARGUMENT,
	              "hooks.startContainer[0].path \"/usr/bin/nvidia-ctk\" in the container: no "
	              "such file or directory");
	cr_expect_not(bench.created, "it is refused when the container is created");
}
