#include "shim/host/placeholder.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "shim/host/placeholder_path.h"

#define SOME_UID  2000000001
#define TITLE     "kata-container: web of pod 1 (placeholder)"
#define WAIT_S    60
#define FILE_SIZE 16384

static char root[] = "/tmp/placeholder-XXXXXX";
static struct ev_loop *loop;

/* What is told of one, in callbacks. */
static struct told {
	bool started;
	struct error err;
	bool ended;
	bool lost;
	int status;
} told;

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(root)); /* 0700: it need not be able to enter it */
	loop = ev_loop_new(0);
}

static void tear_down(void)
{
	ev_loop_destroy(loop);
	rmdir(root);
}

TestSuite(placeholder, .init = set_up, .fini = tear_down, .timeout = 120);

static struct placeholder_config config_for_test(void)
{
	return (struct placeholder_config){
		.program = PLACEHOLDER,
		.title = TITLE,
		.root = root,
		.uid = SOME_UID,
		.network = -1,
	};
}

static void on_started(void *ctx, const struct error *err)
{
	told.started = true;
	error_copy(&told.err, err);
}

static void on_ended(void *ctx)
{
	told.ended = true;
}

static void on_lost(void *ctx, int status)
{
	told.lost = true;
	told.status = status;
}

static void on_tick(struct ev_loop *l, ev_timer *timer, int events)
{
	ev_break(l, EVBREAK_ONE);
}

static bool wait_until(bool (*is)(void *ctx), void *ctx)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, 0.005, 0.005);
	ev_timer_start(loop, &tick);
	for (int i = 0; i < WAIT_S * 200 && !is(ctx); i++)
		ev_run(loop, 0);
	ev_timer_stop(loop, &tick);
	return is(ctx);
}

static bool is_set(void *flag)
{
	return *(bool *)flag;
}

static struct placeholder *start(const struct placeholder_config *config)
{
	struct placeholder *placeholder = NULL;
	struct error err;

	told = (struct told){ 0 };
	cr_assert_eq(placeholder_start(loop, config, on_lost, NULL, &placeholder, &err), 0, "%s",
	             err.text);
	placeholder_await(placeholder, on_started, NULL);
	cr_assert(wait_until(is_set, &told.started));
	return placeholder;
}

static struct placeholder *start_good(void)
{
	const struct placeholder_config config = config_for_test();
	struct placeholder *placeholder = start(&config);

	cr_assert_eq(told.err.code, ERROR_NONE, "%s", told.err.text);
	return placeholder;
}

/* What /proc has of it, with its NULs as '|'. */
static const char *read_proc(pid_t pid, const char *name, char text[FILE_SIZE])
{
	autofree char *path = mem_printf("/proc/%d/%s", (int)pid, name);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, FILE_SIZE - 1);

	cr_assert_geq(n, 0, "%s", path);
	text[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = '|';
	return text;
}

static void expect_status(pid_t pid, const char *line)
{
	char text[FILE_SIZE];

	cr_expect(strstr(read_proc(pid, "status", text), line), "no line '%s' in '%s'", line, text);
}

/* Its filter is the last that it gets. */
static bool is_isolated(void *placeholder)
{
	char text[FILE_SIZE];

	return strstr(read_proc(placeholder_pid(placeholder), "status", text), "\nSeccomp:\t2\n") &&
	       strstr(text, "\nState:\tS");
}

static char *link_of(pid_t pid, const char *name)
{
	autofree char *path = mem_printf("/proc/%d/%s", (int)pid, name);
	char to[256] = "";

	cr_assert_gt(readlink(path, to, sizeof(to) - 1), 0, "%s", path);
	return mem_strdup(to);
}

static int descriptors_of(pid_t pid)
{
	autofree char *path = mem_printf("/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int n = 0;

	cr_assert(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

Test(placeholder, is_meant_by_the_paths_of_its_namespaces)
{
	struct placeholder *placeholder = start_good();
	autofree char *path = mem_printf("/proc/%d/ns/net", (int)placeholder_pid(placeholder));
	autofree char *other = mem_printf("/proc/%d/ns/net", (int)getpid());

	cr_assert(wait_until(is_isolated, placeholder));
	cr_expect(placeholder_is_meant(path));
	cr_expect_not(placeholder_is_meant(other));
	cr_expect_not(placeholder_is_meant("/proc/self/ns/net"));
	cr_expect_not(placeholder_is_meant("/run/netns/blue"));
	placeholder_destroy(placeholder);
}

Test(placeholder, says_whose_it_is)
{
	struct placeholder *placeholder = start_good();
	pid_t pid = placeholder_pid(placeholder);
	char text[FILE_SIZE];

	cr_assert(wait_until(is_isolated, placeholder));
	cr_expect_str_eq(read_proc(pid, "comm", text), "kata-container\n");
	cr_expect_str_eq(read_proc(pid, "cmdline", text), TITLE "|");
	cr_expect_str_eq(read_proc(pid, "environ", text), "");
	placeholder_destroy(placeholder);
}

Test(placeholder, has_no_privilege)
{
	struct placeholder *placeholder = start_good();
	pid_t pid = placeholder_pid(placeholder);
	autofree char *maps = mem_printf("/proc/%d/maps", (int)pid);
	char text[FILE_SIZE];
	struct stat owner;

	cr_assert(wait_until(is_isolated, placeholder));
	expect_status(pid, "\nUid:\t2000000001\t2000000001\t2000000001\t2000000001\n");
	expect_status(pid, "\nGid:\t2000000001\t2000000001\t2000000001\t2000000001\n");
	expect_status(pid, "\nGroups:\t \n");
	expect_status(pid, "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
	                   "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
	                   "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
	cr_expect(strstr(read_proc(pid, "limits", text),
	                 "Max core file size        0                    0 "));
	cr_expect_eq(descriptors_of(pid), 0);
	cr_expect_eq(stat(maps, &owner), 0);
	cr_expect_eq(owner.st_uid, 0, "its uid may look into it: it can be dumped");
	placeholder_destroy(placeholder);
}

Test(placeholder, has_the_root_directory_and_a_network_of_its_own)
{
	struct placeholder *placeholder = start_good();
	pid_t pid = placeholder_pid(placeholder);
	autofree char *its_root = link_of(pid, "root");
	autofree char *its_cwd = link_of(pid, "cwd");
	autofree char *its_net = link_of(pid, "ns/net");
	autofree char *our_net = link_of(getpid(), "ns/net");

	cr_expect_str_eq(its_root, root);
	cr_expect_str_eq(its_cwd, root);
	cr_expect_str_neq(its_net, our_net);
	placeholder_destroy(placeholder);
}

Test(placeholder, enters_the_network_that_it_is_given)
{
	struct placeholder *first = start_good();
	struct placeholder_config config = config_for_test();
	autofree char *path = mem_printf("/proc/%d/ns/net", (int)placeholder_pid(first));
	autofree char *its = link_of(placeholder_pid(first), "ns/net");
	autoclose int network = open(path, O_RDONLY | O_CLOEXEC);
	struct placeholder *second;
	autofree char *seconds = NULL;

	config.network = network;
	second = start(&config);
	cr_assert_eq(told.err.code, ERROR_NONE, "%s", told.err.text);
	seconds = link_of(placeholder_pid(second), "ns/net");
	cr_expect_str_eq(seconds, its);
	placeholder_destroy(first);
	placeholder_destroy(second);
}

static long switches_of(pid_t pid)
{
	char text[FILE_SIZE];
	const char *line = strstr(read_proc(pid, "status", text), "\nvoluntary_ctxt_switches:");

	cr_assert(line);
	return strtol(strchr(line, ':') + 1, NULL, 10);
}

Test(placeholder, sleeps_without_waking_up)
{
	struct placeholder *placeholder = start_good();
	pid_t pid = placeholder_pid(placeholder);
	long before;

	cr_assert(wait_until(is_isolated, placeholder));
	before = switches_of(pid);
	poll(NULL, 0, 500);
	cr_expect_eq(switches_of(pid), before);
	placeholder_destroy(placeholder);
}

Test(placeholder, outlives_signals_without_effect)
{
	static const int signals[] = { SIGCHLD, SIGWINCH, SIGURG, SIGSTOP, SIGCONT };
	struct placeholder *placeholder = start_good();
	pid_t pid = placeholder_pid(placeholder);

	cr_assert(wait_until(is_isolated, placeholder));
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		cr_expect_eq(kill(pid, signals[i]), 0);
		poll(NULL, 0, 20);
	}
	cr_expect(wait_until(is_isolated, placeholder));
	cr_expect_not(told.lost);
	placeholder_destroy(placeholder);
}

Test(placeholder, tells_that_another_has_killed_it)
{
	struct placeholder *placeholder = start_good();

	cr_expect_eq(kill(placeholder_pid(placeholder), SIGKILL), 0);
	cr_assert(wait_until(is_set, &told.lost));
	cr_expect(WIFSIGNALED(told.status) && WTERMSIG(told.status) == SIGKILL);
	told.started = false;
	placeholder_await(placeholder, on_started, NULL);
	cr_expect(told.started);
	cr_expect_eq(told.err.code, ERROR_UNAVAILABLE);
	cr_expect(strstr(told.err.text, "was killed by signal 9 (Killed)"), "%s", told.err.text);
	placeholder_destroy(placeholder);
}

static void expect_gone(pid_t pid)
{
	cr_expect_eq(kill(pid, 0), -1, "it is still there, a zombie perhaps");
}

Test(placeholder, that_is_ended_has_gone_and_was_not_lost)
{
	struct placeholder *placeholder = start_good();

	placeholder_end(placeholder, on_ended, NULL);
	cr_expect_not(told.ended);
	cr_assert(wait_until(is_set, &told.ended));
	expect_gone(placeholder_pid(placeholder));
	cr_expect_not(told.lost);
	told.ended = false;
	placeholder_end(placeholder, on_ended, NULL);
	cr_expect(told.ended);
	placeholder_destroy(placeholder);
}

Test(placeholder, can_be_ended_while_it_starts)
{
	const struct placeholder_config config = config_for_test();
	struct placeholder *placeholder = NULL;
	struct error err;

	cr_assert_eq(placeholder_start(loop, &config, on_lost, NULL, &placeholder, &err), 0);
	placeholder_await(placeholder, on_started, NULL);
	placeholder_end(placeholder, on_ended, NULL);
	cr_assert(wait_until(is_set, &told.ended));
	cr_expect(told.started);
	cr_expect_eq(told.err.code, ERROR_CANCELED);
	cr_expect_not(told.lost);
	expect_gone(placeholder_pid(placeholder));
	placeholder_destroy(placeholder);
}

Test(placeholder, destroyed_while_it_starts_tells_nothing)
{
	const struct placeholder_config config = config_for_test();
	struct placeholder *placeholder = NULL;
	struct error err;
	pid_t pid;

	cr_assert_eq(placeholder_start(loop, &config, on_lost, NULL, &placeholder, &err), 0);
	placeholder_await(placeholder, on_started, NULL);
	pid = placeholder_pid(placeholder);
	placeholder_destroy(placeholder);
	ev_loop_destroy(loop); /* reaps it */
	loop = ev_loop_new(0);
	expect_gone(pid);
	cr_expect_not(told.started || told.lost || told.ended);
}

Test(placeholder, without_its_program_names_it)
{
	struct placeholder_config config = config_for_test();
	struct placeholder *placeholder = NULL;
	struct error err;

	config.program = "/no/such/program";
	cr_expect_lt(placeholder_start(loop, &config, on_lost, NULL, &placeholder, &err), 0);
	cr_expect(strstr(err.text, "cannot open \"/no/such/program\": No such file or directory"),
	          "%s", err.text);
	cr_expect_null(placeholder);
}

Test(placeholder, without_its_root_directory_does_not_start)
{
	struct placeholder_config config = config_for_test();
	autofree char *link = mem_printf("%s/link", root);
	struct placeholder *placeholder;

	cr_assert_eq(symlink("/", link), 0);
	config.root = link;
	placeholder = start(&config);
	cr_expect_str_eq(told.err.text,
	                 "cannot enter the root directory of \"" TITLE "\": Not a directory");
	placeholder_end(placeholder, on_ended, NULL);
	cr_expect(told.ended);
	placeholder_destroy(placeholder);
	unlink(link);
}

/* In a process of its own, which then kills itself. */
static void parent_that_dies(int fd)
{
	struct placeholder *placeholder;
	pid_t pid;

	loop = ev_loop_new(0);
	placeholder = start_good();
	wait_until(is_isolated, placeholder);
	pid = placeholder_pid(placeholder);
	if (write(fd, &pid, sizeof(pid)) == sizeof(pid))
		kill(getpid(), SIGKILL);
	_exit(1);
}

static bool is_gone(void *pid)
{
	autofree char *path = mem_printf("/proc/%d/stat", *(pid_t *)pid);
	autofree char *text = NULL;

	return file_read(AT_FDCWD, path, FILE_SIZE, &text, NULL) < 0 || strstr(text, ") Z ");
}

Test(placeholder, dies_with_its_parent)
{
	int ends[2], status;
	pid_t parent, pid;

	cr_assert_eq(pipe(ends), 0);
	parent = fork();
	if (parent == 0)
		parent_that_dies(ends[1]);
	close(ends[1]);
	cr_assert_eq(read(ends[0], &pid, sizeof(pid)), (ssize_t)sizeof(pid));
	cr_assert_eq(waitpid(parent, &status, 0), parent);
	cr_expect(wait_until(is_gone, &pid));
	close(ends[0]);
}
