#include "common/loop/errand.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"

struct outcome {
	struct errand *errand;
	int calls;
	struct error err;
};

static void keep(void *ctx, const struct error *err)
{
	struct outcome *outcome = ctx;

	outcome->calls++;
	error_copy(&outcome->err, err);
	errand_destroy(take_ptr(&outcome->errand));
}

static struct error run(errand_fn *work, void *work_ctx, int timeout_ms)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct outcome outcome = { 0 };
	struct error err = { 0 };

	cr_assert_eq(errand_start(loop, work, work_ctx, timeout_ms, keep, &outcome, &outcome.errand,
	                          &err),
	             0, "%s", err.text);
	cr_assert_eq(outcome.calls, 0);
	ev_run(loop, 0);
	cr_assert_eq(outcome.calls, 1);
	ev_loop_destroy(loop);
	return outcome.err;
}

static int succeed(void *ctx, struct errand_result *result, struct error *err)
{
	return 0;
}

static int fail(void *ctx, struct errand_result *result, struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND, "no such '%s'", (const char *)ctx);
}

static int hang(void *ctx, struct errand_result *result, struct error *err)
{
	pause();
	return 0;
}

static int crash(void *ctx, struct errand_result *result, struct error *err)
{
	kill(getpid(), SIGKILL);
	return 0;
}

Test(errand, reports_success)
{
	cr_expect_eq(run(succeed, NULL, 60000).code, ERROR_NONE);
}

Test(errand, brings_the_error_of_the_child)
{
	struct error err = run(fail, "thing", 60000);

	cr_expect_eq(err.code, ERROR_NOT_FOUND);
	cr_expect_str_eq(err.text, "no such 'thing'");
}

Test(errand, ends_at_its_deadline)
{
	struct error err = run(hang, NULL, 50);

	cr_expect_eq(err.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_str_eq(err.text, "not done within 50 ms");
}

Test(errand, ends_soon_when_it_is_canceled)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct outcome outcome = { 0 };
	struct error err;

	cr_assert_eq(errand_start(loop, hang, NULL, 60000, keep, &outcome, &outcome.errand, &err),
	             0);
	errand_cancel(outcome.errand);
	cr_expect_eq(outcome.calls, 0);
	ev_run(loop, 0);
	cr_expect_eq(outcome.calls, 1);
	cr_expect_eq(outcome.err.code, ERROR_CANCELED);
	ev_loop_destroy(loop);
}

Test(errand, says_how_a_child_without_a_report_has_ended)
{
	struct error err = run(crash, NULL, 60000);

	cr_expect_eq(err.code, ERROR_INTERNAL);
	cr_expect_str_eq(err.text, "a child process was killed by signal 9 (Killed)");
}

/* Descriptors, signals and the death signal, as seen by the child. */
static int look_around(void *ctx, struct errand_result *result, struct error *err)
{
	int death_signal = 0;

	if (fcntl(*(int *)ctx, F_GETFD) != -1 || errno != EBADF)
		return error_set(err, ERROR_INTERNAL, "descriptor %d is open", *(int *)ctx);
	if (signal(SIGTERM, SIG_DFL) != SIG_DFL)
		return error_set(err, ERROR_INTERNAL, "a signal handler is left");
	if (prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0) < 0 || death_signal != SIGKILL)
		return error_set(err, ERROR_INTERNAL, "death signal %d", death_signal);
	return 0;
}

Test(errand, child_has_nothing_of_its_parent_but_the_memory)
{
	int fd = open("/dev/null", O_RDONLY);
	struct error err;

	signal(SIGTERM, SIG_IGN);
	cr_assert_gt(fd, 3);
	err = run(look_around, &fd, 60000);
	cr_expect_eq(err.code, ERROR_NONE, "%s", err.text);
	close(fd);
}

static int look_at_descriptors(void *ctx, struct errand_result *result, struct error *err)
{
	const int *fds = ctx; /* given, given, kept back, none */

	for (int i = 0; i < 2; i++)
		if (write(fds[i], "x", 1) != 1)
			return error_errno(err, "write to descriptor %d", fds[i]);
	if (fcntl(fds[2], F_GETFD) != -1)
		return error_set(err, ERROR_INTERNAL, "descriptor %d is open", fds[2]);
	return 0;
}

Test(errand, child_has_the_descriptors_it_is_given_under_their_numbers)
{
	struct ev_loop *loop = ev_loop_new(0);
	int low = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int high = fcntl(low, F_DUPFD_CLOEXEC, 100);
	int fds[] = { high, low, fcntl(low, F_DUPFD, 50), -1 };
	struct errand_spec spec = {
		.work = look_at_descriptors, .ctx = fds, .fds = fds, .nfds = 2, .timeout_ms = 60000
	};
	struct outcome outcome = { 0 };
	struct error err;

	for (int round = 0; round < 2; round++) {
		cr_assert_eq(errand_start_with(loop, &spec, keep, &outcome, &outcome.errand, &err),
		             0, "%s", err.text);
		ev_run(loop, 0);
		cr_assert_eq(outcome.calls, round + 1);
		cr_expect_eq(outcome.err.code, ERROR_NONE, "%s", outcome.err.text);
		fds[2] = fds[3]; /* -1 is none */
		spec.nfds = 4;
	}
	ev_loop_destroy(loop);
}

Test(errand, destroy_kills_the_child_and_drops_the_callback)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct outcome outcome = { 0 };
	int ends[2];
	struct error err;
	char c;

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(errand_start(loop, hang, NULL, 60000, keep, &outcome, &outcome.errand, &err),
	             0);
	errand_destroy(outcome.errand);
	ev_run(loop, 0);
	cr_expect_eq(outcome.calls, 0);
	close(ends[1]);
	cr_expect_eq(read(ends[0], &c, 1), 0); /* the child holds no end of it */
	close(ends[0]);
	ev_loop_destroy(loop);
}

/* What an errand has handed back, looked at in @done. */
struct harvest {
	struct errand *errand;
	int calls;
	struct error err;
	char *bytes;
	size_t len;
	int fd;
};

static void harvest(void *ctx, const struct error *err)
{
	struct harvest *got = ctx;
	struct errand_result *result = errand_result(got->errand);

	got->calls++;
	error_copy(&got->err, err);
	got->len = result->bytes.len;
	if (got->len)
		got->bytes = mem_dup(buf_data(&result->bytes), got->len);
	got->fd = result->nfds ? take_fd(&result->fds[0]) : -1;
	errand_destroy(take_ptr(&got->errand));
}

static struct harvest run_for_result(errand_fn *work, void *work_ctx)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct harvest got = { 0 };
	struct error err = { 0 };

	cr_assert_eq(errand_start(loop, work, work_ctx, 10000, harvest, &got, &got.errand, &err), 0,
	             "%s", err.text);
	ev_run(loop, 0);
	cr_assert_eq(got.calls, 1);
	ev_loop_destroy(loop);
	return got;
}

static int give_bytes(void *ctx, struct errand_result *result, struct error *err)
{
	void *to = buf_reserve(&result->bytes, *(size_t *)ctx);

	if (!to)
		return error_set(err, ERROR_OUT_OF_RANGE, "no room");
	memset(to, 'x', *(size_t *)ctx);
	buf_added(&result->bytes, *(size_t *)ctx);
	return 0;
}

Test(errand, hands_back_as_many_bytes_as_are_allowed)
{
	size_t size = ERRAND_BYTES_MAX;
	struct harvest got = run_for_result(give_bytes, &size);

	cr_assert_eq(got.err.code, ERROR_NONE, "%s", got.err.text);
	cr_assert_eq(got.len, size);
	for (size_t i = 0; i < size; i++)
		cr_assert_eq(got.bytes[i], 'x');
	free(got.bytes);
	size++;
	cr_expect_eq(run_for_result(give_bytes, &size).err.code, ERROR_OUT_OF_RANGE);
}

static int give_descriptors(void *ctx, struct errand_result *result, struct error *err)
{
	int ends[2];

	if (pipe(ends) < 0 || write(ends[1], "from the child", 14) != 14)
		return error_errno(err, "make a pipe");
	result->fds[result->nfds++] = ends[0];
	result->fds[result->nfds++] = ends[1];
	return 0;
}

Test(errand, hands_back_descriptors)
{
	int before = dup(0);
	struct harvest got;
	char text[20] = "";

	close(before);
	got = run_for_result(give_descriptors, NULL);
	cr_assert_eq(got.err.code, ERROR_NONE, "%s", got.err.text);
	cr_assert_geq(got.fd, 0);
	cr_expect(fcntl(got.fd, F_GETFD) & FD_CLOEXEC);
	cr_expect_eq(read(got.fd, text, sizeof(text)), 14);
	cr_expect_str_eq(text, "from the child");
	cr_expect_eq(read(got.fd, text, sizeof(text)), 0,
	             "the other end is closed with the errand");
	close(got.fd);
	cr_expect_eq(dup(0), before, "a descriptor is left open");
}

static int give_and_fail(void *ctx, struct errand_result *result, struct error *err)
{
	buf_append(&result->bytes, "half", 4);
	result->fds[result->nfds++] = 0;
	return error_set(err, ERROR_ABORTED, "half way");
}

Test(errand, that_fails_hands_back_its_error_alone)
{
	struct harvest got = run_for_result(give_and_fail, NULL);

	cr_expect_eq(got.err.code, ERROR_ABORTED);
	cr_expect_eq(got.len, 0);
	cr_expect_eq(got.fd, -1);
}

Test(errand, that_ended_in_time_counts_though_nobody_looked)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct outcome outcome = { 0 };
	struct error err;
	siginfo_t ended;

	cr_assert_eq(errand_start(loop, succeed, NULL, 50, keep, &outcome, &outcome.errand, &err),
	             0);
	/* As a process that is stopped until the child has ended, and for longer than the deadline. */
	cr_assert_eq(waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT), 0);
	usleep(100000);
	ev_run(loop, 0);
	cr_assert_eq(outcome.err.code, ERROR_NONE, "%s", outcome.err.text);
	ev_loop_destroy(loop);
}

/* The default loop reaps every child itself, as in the agent. */
Test(errand, ends_in_a_loop_that_reaps_children_itself)
{
	struct ev_loop *loop = ev_default_loop(0);
	struct error err;
	int i;

	for (i = 0; i < 50; i++) {
		struct outcome outcome = { 0 };
		bool fails = i % 2;

		cr_assert_eq(errand_start(loop, fails ? fail : succeed, "x", 60000, keep, &outcome,
		                          &outcome.errand, &err),
		             0, "%s", err.text);
		ev_run(loop, 0);
		cr_assert_eq(outcome.calls, 1);
		cr_assert_eq(outcome.err.code, fails ? ERROR_NOT_FOUND : ERROR_NONE, "%s",
		             outcome.err.text);
	}
}

Test(errand, that_is_killed_in_such_a_loop_is_over)
{
	struct ev_loop *loop = ev_default_loop(0);
	struct outcome outcome = { 0 };
	struct error err;

	cr_assert_eq(errand_start(loop, hang, NULL, 20, keep, &outcome, &outcome.errand, &err), 0);
	ev_run(loop, 0);
	cr_assert_eq(outcome.err.code, ERROR_DEADLINE_EXCEEDED, "%s", outcome.err.text);
	cr_assert_str_eq(outcome.err.text, "not done within 20 ms");
}
