#include "common/loop/seq.h"

#include <criterion/criterion.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"

/* What the steps did, in order: "a b -b -a". */
struct trace {
	char text[200];
	struct seq *waiting; /* the seq of a step that has not ended */
	int done;            /* calls */
	struct error err;    /* what @done got */
	bool failed;
};

static void note(struct trace *trace, const char *what)
{
	size_t len = strlen(trace->text);

	snprintf(trace->text + len, sizeof(trace->text) - len, "%s%s", len ? " " : "", what);
}

static void on_done(void *ctx, const struct error *err)
{
	struct trace *trace = ctx;

	trace->done++;
	trace->failed = err != NULL;
	error_copy(&trace->err, err);
}

static void run_a(struct seq *seq, void *ctx)
{
	note(ctx, "a");
	seq_next(seq);
}

static void undo_a(struct seq *seq, void *ctx)
{
	note(ctx, "-a");
	seq_next(seq);
}

static void run_wait(struct seq *seq, void *ctx)
{
	struct trace *trace = ctx;

	note(trace, "wait");
	trace->waiting = seq;
}

static void undo_wait(struct seq *seq, void *ctx)
{
	struct trace *trace = ctx;

	note(trace, "-wait");
	trace->waiting = seq;
}

static void cancel_wait(struct seq *seq, void *ctx)
{
	note(ctx, "drop");
}

static void run_fail(struct seq *seq, void *ctx)
{
	struct error err;

	note(ctx, "fail");
	error_set(&err, ERROR_NOT_FOUND, "no such thing");
	seq_fail(seq, &err);
}

static void undo_fail(struct seq *seq, void *ctx)
{
	struct error err;

	note(ctx, "-fail");
	error_set(&err, ERROR_UNKNOWN, "cannot be undone");
	seq_fail(seq, &err);
}

static void run_cancel(struct seq *seq, void *ctx)
{
	struct error err;

	note(ctx, "cancel");
	error_set(&err, ERROR_CANCELED, "changed my mind");
	seq_cancel(seq, &err);
}

static void run_cancel_then_next(struct seq *seq, void *ctx)
{
	run_cancel(seq, ctx);
	seq_next(seq);
}

static void run_destroy(struct seq *seq, void *ctx)
{
	note(ctx, "destroy");
	seq_destroy(seq);
}

static void check(const struct seq_step *steps, const char *expected, const char *error)
{
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);

	seq_start(seq);
	cr_assert_str_eq(trace.text, expected);
	cr_assert_eq(trace.done, 1);
	cr_assert_str_eq(trace.err.text, error);
	cr_assert_eq(trace.failed, *error != '\0');
	seq_destroy(seq);
}

Test(seq, runs_the_steps_in_order)
{
	const struct seq_step steps[] = {
		{ "first", run_a, undo_a, NULL },
		{ "second", run_a, undo_a, NULL },
		{ 0 },
	};

	check(steps, "a a", "");
}

Test(seq, of_no_steps_is_done_at_once)
{
	const struct seq_step steps[] = { { 0 } };

	check(steps, "", "");
}

Test(seq, undoes_what_has_finished_but_not_what_failed)
{
	const struct seq_step steps[] = {
		{ "first", run_a, undo_a, NULL },
		{ "no undo", run_a, NULL, NULL },
		{ "broken", run_fail, undo_a, NULL },
		{ "never", run_a, undo_a, NULL },
		{ 0 },
	};

	check(steps, "a a fail -a", "no such thing");
}

Test(seq, goes_on_undoing_after_an_undo_failed)
{
	const struct seq_step steps[] = {
		{ "first", run_a, undo_a, NULL },
		{ "sticky", run_a, undo_fail, NULL },
		{ "broken", run_fail, NULL, NULL },
		{ 0 },
	};

	check(steps, "a a fail -fail -a", "no such thing");
}

Test(seq, waits_for_a_step_that_ends_later)
{
	const struct seq_step steps[] = {
		{ "wait for it", run_wait, NULL, cancel_wait },
		{ "after", run_a, NULL, NULL },
		{ 0 },
	};
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);

	seq_start(seq);
	cr_assert_str_eq(trace.text, "wait");
	cr_assert_eq(trace.done, 0);
	seq_resume(trace.waiting, NULL);
	cr_assert_str_eq(trace.text, "wait a");
	cr_assert_eq(trace.done, 1);
	cr_assert_not(trace.failed);
	seq_destroy(seq);
}

Test(seq, waits_for_an_undo_that_ends_later)
{
	const struct seq_step steps[] = {
		{ "first", run_a, undo_a, NULL },
		{ "slow to undo", run_a, undo_wait, NULL },
		{ "broken", run_fail, NULL, NULL },
		{ 0 },
	};
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);

	seq_start(seq);
	cr_assert_str_eq(trace.text, "a a fail -wait");
	cr_assert_eq(trace.done, 0);
	seq_next(trace.waiting);
	cr_assert_str_eq(trace.text, "a a fail -wait -a");
	cr_assert_eq(trace.done, 1);
	cr_assert_eq(trace.err.code, ERROR_NOT_FOUND);
	seq_destroy(seq);
}

Test(seq, cancelled_drops_the_running_step_and_undoes_the_others)
{
	const struct seq_step steps[] = {
		{ "first", run_a, undo_a, NULL },
		{ "wait for it", run_wait, undo_a, cancel_wait },
		{ 0 },
	};
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);
	struct error why;

	seq_start(seq);
	error_set(&why, ERROR_UNAVAILABLE, "the guest has gone");
	seq_cancel(seq, &why);
	cr_assert_str_eq(trace.text, "a wait drop -a");
	cr_assert_eq(trace.done, 1);
	cr_assert_str_eq(trace.err.text, "the guest has gone");
	seq_cancel(seq, &why); /* nothing any more */
	cr_assert_eq(trace.done, 1);
	seq_destroy(seq);
}

Test(seq, is_not_cancelled_twice_while_it_undoes)
{
	const struct seq_step steps[] = {
		{ "slow to undo", run_a, undo_wait, NULL },
		{ "broken", run_fail, NULL, NULL },
		{ 0 },
	};
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);
	struct error why;

	seq_start(seq);
	error_set(&why, ERROR_CANCELED, "late");
	seq_cancel(seq, &why);
	cr_assert_eq(trace.done, 0);
	seq_next(trace.waiting);
	cr_assert_eq(trace.done, 1);
	cr_assert_str_eq(trace.err.text, "no such thing");
	seq_destroy(seq);
}

Test(seq, may_be_cancelled_by_its_own_step_that_waits)
{
	const struct seq_step steps[] = {
		{ "first", run_a, undo_a, NULL },
		{ "cancels", run_cancel, undo_a, cancel_wait },
		{ 0 },
	};

	check(steps, "a cancel drop -a", "changed my mind");
}

Test(seq, may_be_cancelled_by_its_own_step_that_ends_at_once)
{
	const struct seq_step steps[] = {
		{ "cancels", run_cancel_then_next, undo_a, NULL },
		{ "never", run_a, undo_a, NULL },
		{ 0 },
	};

	check(steps, "cancel -a", "changed my mind");
}

Test(seq, cancelled_before_its_start_runs_nothing)
{
	const struct seq_step steps[] = { { "never", run_a, undo_a, NULL }, { 0 } };
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);
	struct error why;

	error_set(&why, ERROR_CANCELED, "too early");
	seq_cancel(seq, &why);
	seq_start(seq);
	cr_assert_str_eq(trace.text, "");
	cr_assert_eq(trace.done, 1);
	cr_assert_str_eq(trace.err.text, "too early");
	seq_destroy(seq);
}

Test(seq, may_be_destroyed_by_a_step)
{
	const struct seq_step steps[] = {
		{ "first", run_a, undo_a, NULL },
		{ "destroys", run_destroy, NULL, NULL },
		{ 0 },
	};
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);

	seq_start(seq);
	cr_assert_str_eq(trace.text, "a destroy");
	cr_assert_eq(trace.done, 0);
}

Test(seq, destroyed_while_it_waits_calls_nothing)
{
	const struct seq_step steps[] = {
		{ "first", run_a, undo_a, NULL },
		{ "wait for it", run_wait, NULL, cancel_wait },
		{ 0 },
	};
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);

	seq_start(seq);
	seq_destroy(seq);
	cr_assert_str_eq(trace.text, "a wait");
	cr_assert_eq(trace.done, 0);
}

struct owner {
	struct seq *seq;
	int done;
};

static void destroy_owned(void *ctx, const struct error *err)
{
	struct owner *owner = ctx;

	owner->done++;
	seq_destroy(owner->seq);
}

static void run_nothing(struct seq *seq, void *ctx)
{
	seq_next(seq);
}

Test(seq, of_many_steps_uses_no_stack_and_may_be_destroyed_when_done)
{
	enum {
		STEPS = 200000
	};
	autofree struct seq_step *steps = mem_alloc((STEPS + 1) * sizeof(*steps));
	struct owner owner = { 0 };

	for (int i = 0; i < STEPS; i++)
		steps[i] = (struct seq_step){ "step", run_nothing, NULL, NULL };
	owner.seq = seq_create("many", steps, &owner, destroy_owned);
	seq_start(owner.seq);
	cr_assert_eq(owner.done, 1);
}

/* What is logged from here on can be read from the result. */
static int catch_log(void)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	log_open(ends[1]);
	return ends[0];
}

static void check_log(int fd, const char *pattern)
{
	char line[1000] = "";
	regex_t regex;

	cr_assert_gt(read(fd, line, sizeof(line) - 1), 0);
	cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	cr_assert_eq(regexec(&regex, line, 0, NULL, 0), 0, "%s", line);
	regfree(&regex);
	log_open(-1);
	close(fd);
}

Test(seq, that_is_done_logs_how_long_each_step_took)
{
	const struct seq_step steps[] = {
		{ "first", run_a, NULL, NULL },
		{ "the second", run_a, NULL, NULL },
		{ 0 },
	};
	int fd = catch_log();

	check(steps, "a a", "");
	check_log(fd, "msg=\"test done ms=[0-9.]+ first=[0-9.]+ the-second=[0-9.]+\"\n$");
}

Test(seq, that_is_quiet_logs_nothing_when_it_is_done)
{
	const struct seq_step steps[] = { { "first", run_a, NULL, NULL }, { 0 } };
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);
	int fd = catch_log();
	char c;

	seq_set_quiet(seq);
	seq_start(seq);
	cr_assert_eq(trace.done, 1);
	seq_destroy(seq);
	log_open(-1);
	cr_expect_eq(read(fd, &c, 1), 0);
	close(fd);
}

Test(seq, that_fails_logs_which_step_did_and_how_long_each_took)
{
	const struct seq_step steps[] = {
		{ "first", run_a, undo_a, NULL },
		{ "the broken", run_fail, NULL, NULL },
		{ "never", run_a, NULL, NULL },
		{ 0 },
	};
	int fd = catch_log();

	check(steps, "a fail -a", "no such thing");
	check_log(fd, "msg=\"test failed step=\\\\\"the broken\\\\\" ms=[0-9.]+ first=[0-9.]+ "
	              "the-broken=[0-9.]+ error=\\\\\"no such thing\\\\\"\"\n$");
}

Test(seq, that_is_cancelled_logs_the_step_that_waited)
{
	const struct seq_step steps[] = {
		{ "first", run_a, NULL, NULL },
		{ "wait for it", run_wait, NULL, cancel_wait },
		{ 0 },
	};
	struct trace trace = { 0 };
	struct seq *seq = seq_create("test", steps, &trace, on_done);
	int fd = catch_log();
	struct error why;

	seq_start(seq);
	error_set(&why, ERROR_UNAVAILABLE, "the guest has gone");
	seq_cancel(seq, &why);
	check_log(fd, "failed step=\\\\\"wait for it\\\\\" ms=[0-9.]+ first=[0-9.]+ "
	              "wait-for-it=[0-9.]+ error=");
	seq_destroy(seq);
}
