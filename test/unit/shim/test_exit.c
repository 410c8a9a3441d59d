/*
 * When an exit is told, and how long Delete waits for output.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "fake_guest.h"
#include "proto/task_v2.pb-c.h"
#include "service_bench.h"
#include "shim/config/config.h"

TestSuite(exit, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(exit, an_exit_before_the_answer_to_start_is_told_after_it)
{
	struct answer answer, exit;

	bench_serve(60000);
	bench_create();
	bench_ask_wait(&exit, "");
	fake.holds = "StartContainer";
	bench_ask_start(&answer, "");
	bench_settle();
	fake_exit("c", 3);
	bench_settle();
	cr_expect_not(exit.here);
	fake_release();
	cr_assert(bench_wait_until(&exit.here));
	cr_expect(answer.here);
	cr_expect_eq(exit.status, 3);
	cr_expect(fake_order("/tasks/start", "/tasks/exit c"));
}

/* A container with a FIFO for stdout, which is returned open for reading. */
static int run_with_output(void)
{
	int reader;

	bench.fifos[1] = bench_make_fifo("out");
	reader = open(bench.fifos[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(reader, 0);
	bench_run_container();
	return reader;
}

/* As the device does, which says so when it is asked, or at the end. */
static void write_output(size_t len)
{
	static const char bytes[4096];

	cr_assert_eq(write(fake.streams[0].fd, bytes, len), (ssize_t)len);
	fake.streams[0].progress.moved += len;
}

static void read_output(int reader, size_t len)
{
	char bytes[4096];

	cr_assert_eq(read(reader, bytes, len), (ssize_t)len);
}

Test(exit, an_exit_is_told_when_its_output_has_been_read)
{
	int reader = run_with_output();
	struct answer exit;

	bench.settings->stdio_exit_timeout_ms = 60000;
	bench_ask_wait(&exit, "");
	write_output(1000);
	fake_exit("c", 7);
	fake_stream_done(0);
	bench_run_for(0.1);
	cr_expect_not(exit.here);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__RUNNING);
	cr_expect_eq(bench_state("").status, 0);
	cr_expect_not(fake_logged("/tasks/exit c"));
	read_output(reader, 999);
	bench_run_for(0.1);
	cr_expect_not(exit.here);
	read_output(reader, 1);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 7);
	cr_expect_eq(bench_state("").state, CONTAINERD__V1__TYPES__STATUS__STOPPED);
	cr_expect(fake_logged("/tasks/exit c"));
	close(reader);
}

Test(exit, an_exit_waits_for_output_that_is_on_its_way)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	fake.tells_written = true;
	fake.written = 1000;
	fake_exit("c", 7);
	bench_run_for(0.1);
	cr_expect_not(exit.here);
	write_output(1000);
	bench_run_for(0.3); /* the device is asked now and then */
	cr_expect_not(exit.here);
	read_output(reader, 1000);
	cr_expect(bench_wait_until(&exit.here));
	close(reader);
}

/* A child in the background, say. */
Test(exit, an_exit_does_not_wait_for_who_keeps_the_stream_open)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	read_output(reader, 1000);
	fake.tells_written = true;
	fake.written = 1000;
	bench.settings->stdio_exit_timeout_ms = 60000;
	bench.settings->stdio_stall_timeout_ms = 60000;
	fake_exit("c", 7);
	cr_expect(bench_wait_until(&exit.here));
	cr_expect_not(fake.streams[0].done);
	close(reader);
}

Test(exit, an_exit_does_not_wait_for_a_reader_that_stands_still)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	bench.settings->stdio_exit_timeout_ms = 100;
	bench.settings->stdio_stall_timeout_ms = 60000;
	fake_exit("c", 7);
	fake_stream_done(0);
	cr_expect(bench_wait_until(&exit.here));
	read_output(reader, 1000);
	close(reader);
}

/* What comes after the exit is a child's, and no sign that what came before it will be read. */
Test(exit, an_exit_does_not_wait_for_a_reader_that_stands_still_while_a_child_writes)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	fake.tells_written = true;
	fake.written = 1000;
	bench.settings->stdio_exit_timeout_ms = 200;
	bench.settings->stdio_stall_timeout_ms = 60000;
	read_output(reader, 7);
	fake_exit("c", 7);
	for (int i = 0; i < 40 && !exit.here; i++) {
		cr_assert_eq(write(fake.streams[0].fd, "c", 1), 1);
		bench_run_for(0.03); /* the FIFO is ahead of what the device has said */
		fake.streams[0].progress.moved++;
		bench_run_for(0.03);
	}
	cr_expect(exit.here);
	close(reader);
}

Test(exit, an_exit_waits_for_as_long_as_somebody_reads)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	bench.settings->stdio_exit_timeout_ms = 200;
	fake_exit("c", 7);
	fake_stream_done(0);
	for (int i = 0; i < 10; i++) {
		bench_run_for(0.05);
		cr_expect_not(exit.here, "after %d reads", i);
		read_output(reader, 100);
	}
	cr_expect(bench_wait_until(&exit.here));
	close(reader);
}

Test(exit, a_reader_that_has_read_and_gone_is_not_waited_for)
{
	int reader = run_with_output();
	struct answer exit;

	bench_ask_wait(&exit, "");
	write_output(1000);
	read_output(reader, 1);
	close(reader);
	bench.settings->stdio_exit_timeout_ms = 60000;
	bench.settings->stdio_stall_timeout_ms = 60000;
	bench.settings->stdio_drain_timeout_ms = 60000;
	fake_exit("c", 7);
	fake_stream_done(0);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(bench_delete("").err.code, ERROR_NONE);
}

/* The guest says that it has ended, and goes on writing. */
Test(exit, a_kill_ends_what_an_exit_waits_for)
{
	int reader = run_with_output();
	struct answer exit;

	bench.settings->kill_timeout_ms = 300;
	bench.settings->stdio_stall_timeout_ms = 60000;
	bench_ask_wait(&exit, "");
	fake.tells_written = true;
	fake.written = 1000;
	fake_exit("c", 7);
	bench_settle();
	bench_kill("c", "", 9);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 7);
	cr_expect_eq(fake.vms, 1);
	close(reader);
}

Test(exit, an_exit_that_waits_is_told_when_its_pod_goes)
{
	int reader = run_with_output();
	struct answer exit;

	bench.settings->stdio_exit_timeout_ms = 60000;
	bench_ask_wait(&exit, "");
	write_output(1000);
	fake_exit("c", 7);
	fake_stream_done(0);
	bench_settle();
	service_stop(bench.pod.service);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 7);
	cr_expect(fake_logged("/tasks/exit c"));
	close(reader);
}

Test(exit, delete_waits_for_the_last_output)
{
	int reader = run_with_output();
	struct answer deleted;

	fake.tells_written = true;
	fake_exit("c", 0);
	bench_settle();
	bench_ask_delete(&deleted);
	bench_settle();
	cr_expect_not(deleted.here);
	fake_stream_done(0);
	cr_expect(bench_wait_until(&deleted.here));
	close(reader);
}

Test(exit, delete_does_not_wait_for_output_that_stands_still)
{
	int reader = run_with_output();

	bench.settings->stdio_stall_timeout_ms = 500;
	fake.tells_written = true;
	fake_exit("c", 0);
	bench_settle();
	cr_expect_eq(bench_delete("").err.code, ERROR_NONE);
	close(reader);
}

/* Whose clock has gone on without it: what has been read meanwhile is seen first. */
Test(exit, a_shim_that_was_stopped_has_not_waited)
{
	int reader = run_with_output();
	struct answer deleted;

	bench.settings->stdio_exit_timeout_ms = 1;
	bench.settings->stdio_stall_timeout_ms = 300;
	bench.settings->stdio_drain_timeout_ms = 500;
	write_output(1000);
	fake_exit("c", 0);
	fake_stream_done(0);
	bench_run_for(0.1);
	bench_ask_delete(&deleted);
	bench_settle();
	usleep(600000);
	bench_settle();
	cr_expect_not(deleted.here);
	read_output(reader, 1000);
	cr_expect(bench_wait_until(&deleted.here));
	close(reader);
}
