/*
 * Starting a child process, without waiting and with a deadline.
 */
#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/error.h"
#include "common/loop/proc.h"
#include "proc_bench.h"

Test(proc_start, whose_executable_does_not_answer_is_given_up)
{
	struct ev_loop *loop = ev_loop_new(0);
	char path[64];
	struct proc_spec spec = { .argv = (const char *const[]){ path, NULL } };
	struct proc *proc = NULL;
	struct stuck_fs fs;
	struct error err;

	stuck_fs_start(loop, &fs);
	snprintf(path, sizeof(path), "%s/hang", fs.dir);
	cr_expect_lt(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), 0);
	cr_expect_eq(err.code, ERROR_DEADLINE_EXCEEDED, "%s", err.text);
	cr_expect_null(proc);
	stuck_fs_stop(&fs);
	cr_expect(proc_bench_run_until_no_child(loop, 60000));
	ev_loop_destroy(loop);
}

struct start {
	bool started; /* on_started has come */
	struct error err;
	bool ended;
	int status;
};

static void on_started(void *ctx, const struct error *err)
{
	struct start *start = ctx;

	cr_expect_not(start->started || start->ended);
	start->started = true;
	error_copy(&start->err, err);
}

static void on_ended(void *ctx, int status)
{
	struct start *start = ctx;

	start->ended = true;
	start->status = status;
}

Test(proc_start, starts_without_waiting)
{
	struct proc_spec spec = { .argv = SH("exit 3") };
	struct ev_loop *loop = ev_loop_new(0);
	struct start start = { 0 };
	struct proc *proc = NULL;
	struct error err;

	cr_assert_eq(proc_start(loop, &spec, on_started, on_ended, &start, &proc, &err), 0);
	cr_assert_not(start.started);
	ev_run(loop, 0);
	cr_expect(start.started);
	cr_expect_eq(start.err.code, ERROR_NONE, "%s", start.err.text);
	cr_expect(start.ended);
	cr_expect_eq(WEXITSTATUS(start.status), 3);
	proc_destroy(proc);
	ev_loop_destroy(loop);
	proc_bench_assert_no_child();
}

Test(proc_start, started_without_waiting_reports_what_failed)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/no/such/file", NULL } };
	struct ev_loop *loop = ev_loop_new(0);
	struct start start = { 0 };
	struct proc *proc = NULL;
	struct error err;

	cr_assert_eq(proc_start(loop, &spec, on_started, on_ended, &start, &proc, &err), 0);
	ev_run(loop, 0);
	cr_expect(start.started);
	cr_expect_str_eq(start.err.text,
	                 "cannot execute \"/no/such/file\": No such file or directory");
	cr_expect_not(start.ended);
	proc_destroy(proc);
	ev_loop_destroy(loop);
	proc_bench_assert_no_child();
}

Test(proc_start, destroyed_while_it_starts_reports_nothing)
{
	struct proc_spec spec = { .argv = SH("exec sleep 100") };
	struct ev_loop *loop = ev_loop_new(0);
	struct start start = { 0 };
	struct proc *proc = NULL;
	struct error err;

	cr_assert_eq(proc_start(loop, &spec, on_started, on_ended, &start, &proc, &err), 0);
	proc_destroy(proc);
	cr_expect(proc_bench_run_until_no_child(loop, 60000));
	cr_expect_not(start.started || start.ended);
	ev_loop_destroy(loop);
}

Test(proc_start, whose_root_directory_does_not_answer_is_given_up_without_waiting)
{
	struct ev_loop *loop = ev_loop_new(0);
	char path[64];
	struct proc_spec spec = { .argv = SH("true"), .root = path };
	struct start start = { 0 };
	struct proc *proc = NULL;
	struct stuck_fs fs;
	struct error err;

	stuck_fs_start(loop, &fs);
	snprintf(path, sizeof(path), "%s/hang/x", fs.dir);
	cr_assert_eq(proc_start(loop, &spec, on_started, on_ended, &start, &proc, &err), 0);
	stuck_fs_expect(&fs, "hanging\n");
	for (int i = 0; i < 100 && !start.started; i++)
		ev_run(loop, EVRUN_ONCE);
	cr_expect_eq(start.err.code, ERROR_DEADLINE_EXCEEDED, "%s", start.err.text);
	proc_destroy(proc);
	stuck_fs_stop(&fs);
	cr_expect(proc_bench_run_until_no_child(loop, 60000));
	cr_expect_not(start.ended);
	ev_loop_destroy(loop);
}
