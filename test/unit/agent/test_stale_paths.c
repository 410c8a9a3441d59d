#include "agent/guest/stale_paths.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/mem.h"

#define DELAY_S 0.2

static char dir[40];
static struct ev_loop *loop;
static struct stale_paths *paths;

static void setup(void)
{
	strcpy(dir, "/tmp/kata-stale-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
	loop = ev_default_loop(0);
}

static void teardown(void)
{
	stale_paths_destroy(paths);
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

TestSuite(stale_paths, .init = setup, .fini = teardown, .timeout = 120);

static bool is_there(const char *name)
{
	return access(name, F_OK) == 0;
}

static void on_time(struct ev_loop *l, ev_timer *timer, int events)
{
	ev_break(l, EVBREAK_ALL);
}

static void run_for(double seconds)
{
	ev_timer timer;

	ev_timer_init(&timer, on_time, seconds, 0);
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
	ev_timer_stop(loop, &timer);
}

static void run_until_there(const char *name)
{
	for (int i = 0; i < 500 && !is_there(name); i++)
		run_for(0.02);
	cr_expect(is_there(name), "%s was not looked up", name);
}

/* The child's memory is its own. */
static void leave_mark(const char *path)
{
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void hang_at_first(const char *path)
{
	if (!strcmp(path, "first"))
		pause();
	leave_mark(path);
}

Test(stale_paths, each_is_looked_up_later)
{
	double added = ev_now(loop);

	paths = stale_paths_create(loop, DELAY_S, leave_mark);
	stale_paths_add(paths, "one");
	run_for(DELAY_S / 2);
	stale_paths_add(paths, "two");
	run_until_there("one");
	cr_expect_geq(ev_time() - added, 0.9 * DELAY_S);
	run_until_there("two");
	stale_paths_add(paths, "three");
	run_until_there("three");
}

Test(stale_paths, the_oldest_of_too_many_are_left_out)
{
	paths = stale_paths_create(loop, DELAY_S, leave_mark);
	for (int i = 0; i <= STALE_PATHS_MAX; i++) {
		autofree char *name = mem_printf("%d", i);

		stale_paths_add(paths, name);
	}
	run_until_there("1");
	run_until_there("256");
	cr_expect_not(is_there("0"));
}

Test(stale_paths, none_is_waited_for_when_it_ends)
{
	paths = stale_paths_create(loop, DELAY_S, hang_at_first);
	stale_paths_add(paths, "first");
	run_for(4 * DELAY_S);
	stale_paths_add(paths, "second");
	run_for(DELAY_S);
	cr_expect_not(is_there("second"));
}

Test(stale_paths, what_is_gone_is_no_error)
{
	stale_path_look_up("no/such/path");
}
