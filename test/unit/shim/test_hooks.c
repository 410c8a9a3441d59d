#include "shim/pod/hooks.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "shim/spec/spec.h"

#define TEXT_MAX 4096
#define SPEC                                                                                       \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"rootfs\"},\"annotations\":{\"a\":\"b\"},\"hooks\":{%s}}"

static struct ev_loop *loop;
static char dir[] = "/tmp/kata-hooks.XXXXXX";
static struct error result;
static bool ended;

static void setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert(mkdtemp(dir));
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC));
	ended = false;
}

static void teardown(void)
{
	autofree char *command = mem_printf("rm -r %s", dir);

	cr_expect_eq(system(command), 0);
	ev_loop_destroy(loop);
	log_open(-1);
}

TestSuite(hooks, .init = setup, .fini = teardown, .timeout = 120);

static struct hooks *take_hooks(const char *json)
{
	autofree char *text = mem_printf(SPEC, json);
	autodestroy(spec) Grpc__Spec *spec = NULL;
	struct hooks *hooks;
	struct error err;

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &err), 0, "%s", err.text);
	cr_assert_eq(hooks_take(spec, "c", dir, &hooks, &err), 0, "%s", err.text);
	cr_expect(!spec->hooks || (!spec->hooks->n_prestart && !spec->hooks->n_poststop));
	return hooks;
}

/* A hook that runs a line of shell. */
static char *sh(const char *line)
{
	return mem_printf("{\"path\":\"/bin/sh\",\"args\":[\"hook\",\"-c\",\"%s\"]}", line);
}

static void on_done(void *ctx, const struct error *err)
{
	cr_expect_not(ended);
	ended = true;
	error_copy(&result, err);
	ev_break(loop, EVBREAK_ALL);
}

static void run(struct hooks *hooks, enum hooks_stage stage)
{
	result = (struct error){ 0 };
	ended = false;
	hooks_run(hooks, loop, stage, 4711, NULL, on_done, NULL);
	if (!ended)
		ev_run(loop, 0);
	cr_assert(ended);
}

/* What a hook has written into a file of the bundle. free() it. */
static char *written(const char *name)
{
	autofree char *path = mem_printf("%s/%s", dir, name);
	char *text = NULL;

	cr_assert_geq(file_read(AT_FDCWD, path, TEXT_MAX, &text, NULL), 0, "%s", path);
	return text;
}

static bool exists(const char *name)
{
	autofree char *path = mem_printf("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

Test(hooks, none_are_none)
{
	cr_expect_null(take_hooks(""));
	cr_expect_null(take_hooks("\"prestart\":[],\"startContainer\":[]"));
	run(NULL, HOOKS_CREATE);
	cr_expect_eq(result.code, ERROR_NONE);
}

Test(hooks, get_the_state_on_their_standard_input_in_the_bundle)
{
	autofree char *hook = sh("cat >state; pwd >where; echo $0 >name");
	autofree char *json = mem_printf("\"createRuntime\":[%s]", hook);
	autodestroy(hooks) struct hooks *hooks = take_hooks(json);
	autofree char *text = NULL, *name = NULL;
	json_t *state;

	run(hooks, HOOKS_CREATE);
	cr_assert_eq(result.code, ERROR_NONE, "%s", result.text);
	text = written("state");
	name = written("name");
	cr_expect_str_eq(name, "hook\n");
	cr_expect(exists("where"));
	state = json_loads(text, 0, NULL);
	cr_assert(state);
	cr_expect_str_eq(json_string_value(json_object_get(state, "ociVersion")), "1.0.2");
	cr_expect_str_eq(json_string_value(json_object_get(state, "id")), "c");
	cr_expect_str_eq(json_string_value(json_object_get(state, "status")), "creating");
	cr_expect_str_eq(json_string_value(json_object_get(state, "bundle")), dir);
	cr_expect_eq(json_integer_value(json_object_get(state, "pid")), 4711);
	cr_expect_str_eq(
		json_string_value(json_object_get(json_object_get(state, "annotations"), "a")),
		"b");
	json_decref(state);
}

/* What a hook is told of where the network namespace is; "" if nothing. free() it. */
static char *told_netns(const char *linux_json, enum hooks_stage stage)
{
	autofree char *hook = sh("cat >state");
	autofree char *json = mem_printf("\"createRuntime\":[%s],\"poststop\":[%s]},\"linux\":{%s",
	                                 hook, hook, linux_json);
	autodestroy(hooks) struct hooks *hooks = take_hooks(json);
	autofree char *text = NULL;
	json_t *state;
	const char *path;
	char *found;

	run(hooks, stage);
	cr_assert_eq(result.code, ERROR_NONE, "%s", result.text);
	text = written("state");
	state = json_loads(text, 0, NULL);
	path = json_string_value(json_object_get(json_object_get(state, "annotations"),
	                                         "nerdctl/network-namespace"));
	found = mem_strdup(path ? path : "");
	json_decref(state);
	return found;
}

Test(hooks, are_told_the_pods_network_namespace)
{
	const char *own = "\"namespaces\":[{\"type\":\"network\"}]";
	const char *named = "\"namespaces\":[{\"type\":\"network\",\"path\":\"/run/x\"}]";
	autofree char *of_the_pid = told_netns(own, HOOKS_CREATE);
	autofree char *gone = told_netns(own, HOOKS_POSTSTOP);
	autofree char *by_name = told_netns(named, HOOKS_CREATE);
	autofree char *by_name_still = told_netns(named, HOOKS_POSTSTOP);

	cr_expect_str_eq(of_the_pid, "/proc/4711/ns/net");
	cr_expect_str_eq(gone, "");
	cr_expect_str_eq(by_name, "/run/x");
	cr_expect_str_eq(by_name_still, "/run/x");
}

Test(hooks, of_a_stage_run_in_their_order_and_no_others)
{
	autofree char *one = sh("echo one >>order");
	autofree char *two = sh("echo two >>order");
	autofree char *three = sh("echo three >>order");
	autofree char *later = sh("touch later");
	autofree char *json =
		mem_printf("\"createRuntime\":[%s],\"prestart\":[%s,%s],\"poststart\":[%s],"
	                   "\"poststop\":[%s]",
	                   three, one, two, later, later);
	autodestroy(hooks) struct hooks *hooks = take_hooks(json);
	autofree char *order = NULL;

	run(hooks, HOOKS_CREATE);
	order = written("order");
	cr_expect_str_eq(order, "one\ntwo\nthree\n");
	cr_expect_not(exists("later"));
	run(hooks, HOOKS_POSTSTART);
	cr_expect(exists("later"));
}

Test(hooks, a_failure_at_create_is_told_with_the_last_line)
{
	autofree char *bad = sh("echo first; echo no bridge >&2; exit 3");
	autofree char *next = sh("touch next");
	autofree char *json = mem_printf("\"createRuntime\":[%s,%s]", bad, next);
	autodestroy(hooks) struct hooks *hooks = take_hooks(json);

	run(hooks, HOOKS_CREATE);
	cr_expect_str_eq(result.text, "hooks.createRuntime[0]: hook \"/bin/sh\" exited with "
	                              "status 3: no bridge");
	cr_expect_not(exists("next"));
}

Test(hooks, a_program_that_cannot_start_is_told)
{
	autodestroy(hooks) struct hooks *hooks =
		take_hooks("\"prestart\":[{\"path\":\"/nowhere/x\"}]");

	run(hooks, HOOKS_CREATE);
	cr_expect_str_eq(result.text, "hooks.prestart[0]: cannot execute \"/nowhere/x\": No such "
	                              "file or directory");
}

Test(hooks, a_failure_at_another_stage_is_passed_over)
{
	autofree char *bad = sh("exit 3");
	autofree char *next = sh("touch next");
	autofree char *json = mem_printf("\"poststop\":[%s,%s]", bad, next);
	autodestroy(hooks) struct hooks *hooks = take_hooks(json);

	run(hooks, HOOKS_POSTSTOP);
	cr_expect_eq(result.code, ERROR_NONE);
	cr_expect(exists("next"));
}

Test(hooks, one_that_has_no_end_is_killed_at_its_timeout)
{
	autodestroy(hooks) struct hooks *hooks =
		take_hooks("\"prestart\":[{\"path\":\"/bin/sleep\",\"args\":[\"sleep\",\"100\"],"
	                   "\"timeout\":1}]");

	run(hooks, HOOKS_CREATE);
	cr_expect_eq(result.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_str_eq(result.text, "hooks.prestart[0]: hook \"/bin/sleep\" was killed: not "
	                              "ended within 1000 ms");
}

Test(hooks, much_output_holds_up_nothing_and_its_end_is_kept)
{
	autofree char *hook = sh("seq 100000; exit 1");
	autofree char *json = mem_printf("\"createRuntime\":[%s]", hook);
	autodestroy(hooks) struct hooks *hooks = take_hooks(json);

	run(hooks, HOOKS_CREATE);
	cr_expect_str_eq(result.text, "hooks.createRuntime[0]: hook \"/bin/sh\" exited with "
	                              "status 1: 100000");
}

Test(hooks, one_that_leaves_a_child_in_the_background_has_ended)
{
	autofree char *hook = sh("sleep 2 & exit 0");
	autofree char *json = mem_printf("\"createRuntime\":[%s]", hook);
	autodestroy(hooks) struct hooks *hooks = take_hooks(json);

	run(hooks, HOOKS_CREATE);
	cr_expect_eq(result.code, ERROR_NONE);
}

Test(hooks, an_environment_replaces_ours)
{
	autodestroy(hooks) struct hooks *hooks = take_hooks(
		"\"prestart\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"env >own\"],"
		"\"env\":[\"KEY=value\"]},"
		"{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"echo $OURS >ours\"]}]");
	autofree char *own = NULL, *ours = NULL;

	setenv("OURS", "here", 1);
	run(hooks, HOOKS_CREATE);
	own = written("own");
	ours = written("ours");
	cr_expect(strstr(own, "KEY=value\n"));
	cr_expect_not(strstr(own, "OURS="));
	cr_expect_str_eq(ours, "here\n");
}

static void expect_invalid(const char *json, const char *text)
{
	autofree char *config = mem_printf(SPEC, json);
	autodestroy(spec) Grpc__Spec *spec = NULL;
	struct hooks *hooks;
	struct error err;

	cr_assert_eq(spec_parse(config, strlen(config), &spec, &err), 0, "%s", err.text);
	cr_expect_lt(hooks_take(spec, "c", dir, &hooks, &err), 0);
	cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
	cr_expect_str_eq(err.text, text);
}

Test(hooks, invalid_ones_are_named)
{
	expect_invalid("\"poststop\":[{\"path\":\"/a\"},{\"path\":\"b\"}]",
	               "invalid hooks.poststop[1].path \"b\": not absolute");
	expect_invalid("\"prestart\":[{\"path\":\"/a\",\"timeout\":-1}]",
	               "invalid hooks.prestart[0].timeout \"-1\": expected 1 to 2147483");
}

Test(hooks, one_that_runs_ends_with_the_hooks)
{
	autofree char *hook = sh("echo $$ >pid; exec sleep 100");
	autofree char *json = mem_printf("\"createRuntime\":[%s]", hook);
	struct hooks *hooks = take_hooks(json);
	autofree char *pid = NULL;
	autofree char *proc = NULL;

	hooks_run(hooks, loop, HOOKS_CREATE, 1, NULL, on_done, NULL);
	while (!exists("pid"))
		ev_run(loop, EVRUN_NOWAIT);
	usleep(50000);
	pid = written("pid");
	hooks_destroy(hooks);
	proc = mem_printf("/proc/%d", atoi(pid));
	while (access(proc, F_OK) == 0)
		ev_run(loop, EVRUN_ONCE);
	cr_expect_not(ended);
}
