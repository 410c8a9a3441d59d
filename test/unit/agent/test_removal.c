#include "agent/pod/removal.h"

#include <criterion/criterion.h>
#include <errno.h>

static struct ev_loop *loop;
static struct removal removal;
static const int *results; /* of the tries, in order; the last one is for all that follow */
static size_t n_results, tries, ends;
static struct error end;

static int try(void *ctx, struct error *err)
{
	int r = results[tries < n_results ? tries : n_results - 1];

	cr_assert_eq(ctx, &results);
	tries++;
	return r == -EIO ? error_set(err, ERROR_UNKNOWN, "broken") : r;
}

static void on_removed(void *ctx, const struct error *err)
{
	cr_assert_eq(ctx, &ends);
	error_copy(&end, err);
	ends++;
}

static void remove_as(const int *order, size_t n, int timeout_ms)
{
	results = order;
	n_results = n;
	removal_init(&removal, loop, "c", timeout_ms, try, &results);
	removal_start(&removal, on_removed, &ends);
}

static void setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
}

static void teardown(void)
{
	ev_loop_destroy(loop);
}

TestSuite(removal, .init = setup, .fini = teardown, .timeout = 60);

Test(removal, what_has_gone_is_told_at_once)
{
	remove_as((const int[]){ 0 }, 1, 60000);
	cr_expect_eq(tries, 1);
	cr_expect_eq(ends, 1);
	cr_expect_eq(end.code, ERROR_NONE);
	cr_expect_not(removal_active(&removal));
}

Test(removal, it_is_tried_until_all_has_gone)
{
	static const int order[] = { -EBUSY, -EBUSY, -EAGAIN, -EAGAIN, -EBUSY, 0 };

	remove_as(order, 6, 60000);
	cr_expect_eq(ends, 0);
	cr_expect(removal_active(&removal));
	ev_run(loop, 0);
	cr_expect_eq(tries, 6);
	cr_expect_eq(ends, 1);
	cr_expect_eq(end.code, ERROR_NONE);
	cr_expect_not(removal_active(&removal));
}

Test(removal, another_error_ends_it)
{
	static const int order[] = { -EBUSY, -EIO };

	remove_as(order, 2, 60000);
	ev_run(loop, 0);
	cr_expect_eq(tries, 2);
	cr_expect_eq(ends, 1);
	cr_expect_str_eq(end.text, "broken");
}

Test(removal, what_does_not_go_is_an_error_after_a_while)
{
	static const int order[] = { -EBUSY };

	remove_as(order, 1, 10);
	ev_run(loop, 0);
	cr_expect_eq(ends, 1);
	cr_expect_eq(end.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_str_eq(end.text, "killed processes of container \"c\" have not gone after 10 ms");
}

Test(removal, nothing_is_told_of_one_that_is_stopped)
{
	static const int order[] = { -EBUSY };

	remove_as(order, 1, 60000);
	removal_stop(&removal);
	ev_run(loop, 0);
	cr_expect_eq(ends, 0);
	cr_expect_eq(tries, 1);
}
