#include "shim/host/bundle_watch.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

#define INTERVAL_MS 20

static struct ev_loop *loop;
static char dir[] = "/tmp/kata-watch.XXXXXX";
static char *bundle;
static int gone;

static void setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_not_null(mkdtemp(dir));
	bundle = mem_printf("%s/bundle", dir);
	cr_assert_eq(mkdir(bundle, 0700), 0);
}

static void teardown(void)
{
	rmdir(bundle);
	rmdir(dir);
	free(bundle);
	ev_loop_destroy(loop);
}

static void on_end(struct ev_loop *ended, ev_timer *timer, int events)
{
	ev_break(ended, EVBREAK_ALL);
}

static void on_gone(void *ctx)
{
	gone++;
}

static struct bundle_watch *watch_bundle(void)
{
	return bundle_watch_create(loop, bundle, INTERVAL_MS, on_gone, NULL);
}

/* Long enough for some looks. */
static void run(void)
{
	ev_timer end;

	ev_timer_init(&end, on_end, INTERVAL_MS * 5 / 1e3, 0);
	ev_now_update(loop);
	ev_timer_start(loop, &end);
	ev_run(loop, 0);
}

/* And then for some more. */
static void run_until_gone(void)
{
	for (int i = 0; i < 600 && !gone; i++)
		run();
	run();
}

TestSuite(bundle_watch, .init = setup, .fini = teardown);

Test(bundle_watch, says_once_that_the_bundle_is_removed)
{
	autodestroy(bundle_watch) struct bundle_watch *watch = watch_bundle();

	cr_assert_eq(rmdir(bundle), 0);
	run_until_gone();
	cr_assert_eq(gone, 1);
}

Test(bundle_watch, says_that_the_bundle_is_renamed)
{
	autodestroy(bundle_watch) struct bundle_watch *watch = watch_bundle();
	autofree char *other = mem_printf("%s/.bundle", dir);

	cr_assert_eq(rename(bundle, other), 0);
	run_until_gone();
	cr_assert_eq(gone, 1);
	rmdir(other);
}

Test(bundle_watch, says_nothing_while_the_bundle_is_there)
{
	autodestroy(bundle_watch) struct bundle_watch *watch = watch_bundle();

	run();
	cr_assert_eq(gone, 0);
}
