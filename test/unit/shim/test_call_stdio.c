/*
 * The streams of a process whose agent has them by calls alone, as upstream's.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fake_guest.h"
#include "fake_stdio.h"
#include "service_bench.h"
#include "shim/config/config.h"

#define MUCH 200000 /* more than a FIFO and a piece hold */

static void set_up(void)
{
	bench_setup();
	fake.upstream = true;
}

TestSuite(call_stdio, .init = set_up, .fini = bench_teardown, .timeout = 60);

static int open_output(int i, const char *name)
{
	int reader;

	bench.fifos[i] = bench_make_fifo(name);
	reader = open(bench.fifos[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(reader, 0);
	return reader;
}

/* As many as a caller of cr_expect() can compare. */
static char pattern[MUCH];

static void write_much(const char *exec_id)
{
	for (size_t i = 0; i < MUCH; i++)
		pattern[i] = (char)(i * 7 + i / 256);
	fake_process_write(fake_process(exec_id), false, pattern, MUCH);
}

/* Reads to the end of the file while the loop runs. */
static size_t read_all(int reader, char *out, size_t max)
{
	size_t len = 0;

	for (int idle = 0; idle < 30000;) {
		ssize_t n = read(reader, out + len, max - len);

		if (n == 0 && len)
			break;
		if (n > 0) {
			len += (size_t)n;
			continue;
		}
		bench_run_for(0.002);
		idle++;
	}
	return len;
}

static void expect_much(int reader)
{
	static char got[MUCH + 1];

	cr_expect_eq(read_all(reader, got, sizeof(got)), MUCH);
	cr_expect(memcmp(got, pattern, MUCH) == 0);
}

Test(call_stdio, an_exit_is_asked_for_when_the_output_has_been_read)
{
	int reader = open_output(1, "out");
	struct answer exit;

	bench_run_container();
	cr_expect_eq(fake.n_streams, 0);
	cr_expect_eq(fake.ports[1], 0);
	bench_ask_wait(&exit, "");
	write_much("c");
	fake_process_end(fake_process("c"), 3);
	bench_run_for(0.1);
	cr_expect_not(fake_logged("WaitProcess c"));
	cr_expect_not(exit.here);
	expect_much(reader);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 3);
	cr_expect_eq(bench_delete("").status, 3);
	close(reader);
}

Test(call_stdio, both_outputs_go_where_they_belong)
{
	int out = open_output(1, "out"), err = open_output(2, "err");
	struct answer exit;
	char got[16];

	bench_run_container();
	bench_ask_wait(&exit, "");
	fake_process_write(fake_process("c"), false, "to out", 6);
	fake_process_write(fake_process("c"), true, "to err", 6);
	fake_process_end(fake_process("c"), 0);
	cr_expect_eq(read_all(out, got, sizeof(got)), 6);
	cr_expect(memcmp(got, "to out", 6) == 0);
	cr_expect_eq(read_all(err, got, sizeof(got)), 6);
	cr_expect(memcmp(got, "to err", 6) == 0);
	cr_assert(bench_wait_until(&exit.here));
	close(out);
	close(err);
}

Test(call_stdio, an_exec_has_its_own)
{
	int reader;
	struct answer exit;

	bench_run_container();
	reader = open_output(1, "exec-out");
	bench_exec("e");
	bench_start("e");
	bench_ask_wait(&exit, "e");
	write_much("c.e");
	fake_process_end(fake_process("c.e"), 7);
	expect_much(reader);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 7);
	cr_expect_eq(bench_delete("e").status, 7);
	close(reader);
}

Test(call_stdio, stdin_is_written_after_start_and_closed_by_close_io)
{
	struct answer closed;
	struct fake_process *process;
	int writer;

	bench.fifos[0] = bench_make_fifo("in");
	bench_serve(60000);
	bench_create();
	process = fake_process("c");
	process->takes = 5;
	writer = open(bench.fifos[0], O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(writer, 0);
	cr_assert_eq(write(writer, "the first and the second", 24), 24);
	bench_run_for(0.05);
	cr_expect_eq(process->input_len, 0);
	bench_start("");
	close(writer);
	for (int i = 0; i < 30000 && process->input_len < 24; i++)
		bench_run_for(0.002);
	cr_expect_eq(process->input_len, 24);
	cr_expect(memcmp(process->input, "the first and the second", 24) == 0);
	cr_expect_not(process->input_closed);
	bench_ask_close_io(&closed, "");
	cr_assert(bench_wait_until(&closed.here));
	cr_expect(bench_wait_until(&process->input_closed));
}

Test(call_stdio, a_killed_process_does_not_wait_for_a_reader_that_does_not_read)
{
	int reader = open_output(1, "out");
	struct answer exit;

	bench.settings->stdio_exit_timeout_ms = 50;
	bench_run_container();
	bench_ask_wait(&exit, "");
	write_much("c");
	bench_run_for(0.1);
	cr_expect_not(exit.here);
	fake_process_end(fake_process("c"), 137);
	cr_expect_eq(bench_kill("c", "", 9).err.code, ERROR_NONE);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	close(reader);
}

Test(call_stdio, a_reader_may_go_and_come_back)
{
	int reader = open_output(1, "out");
	struct answer exit;
	char got[16];

	bench_run_container();
	bench_ask_wait(&exit, "");
	fake_process_write(fake_process("c"), false, "first", 5);
	for (int i = 0; i < 30000 && read(reader, got, sizeof(got)) != 5; i++)
		bench_run_for(0.002);
	cr_expect(memcmp(got, "first", 5) == 0);
	close(reader);
	fake_process_write(fake_process("c"), false, "second", 6);
	bench_run_for(0.05);
	reader = open(bench.fifos[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fake_process_end(fake_process("c"), 0);
	cr_expect_eq(read_all(reader, got, sizeof(got)), 6);
	cr_expect(memcmp(got, "second", 6) == 0);
	cr_assert(bench_wait_until(&exit.here));
	close(reader);
}

Test(call_stdio, an_answer_longer_than_asked_for_ends_the_output_alone)
{
	int reader = open_output(1, "out");
	struct answer exit;

	bench_run_container();
	bench_ask_wait(&exit, "");
	bench_settle(); /* the guest is asked for a piece */
	fake_process("c")->greedy = true;
	write_much("c");
	fake_process_end(fake_process("c"), 5);
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 5);
	close(reader);
}

Test(call_stdio, the_loss_of_the_machine_ends_the_process)
{
	int reader = open_output(1, "out");
	struct answer exit;

	bench_run_container();
	bench_ask_wait(&exit, "");
	bench_settle();
	fake_kill_vm("QEMU is gone");
	cr_assert(bench_wait_until(&exit.here));
	cr_expect_eq(exit.status, 137);
	cr_expect_eq(bench_delete("").status, 137);
	close(reader);
}

Test(call_stdio, a_failed_start_of_an_exec_stops_to_read)
{
	struct answer answer;
	int reader;

	bench_run_container();
	reader = open_output(1, "exec-out");
	bench_exec("e");
	error_set(&fake.refusal, ERROR_NOT_FOUND, "no such file");
	fake.fails = "ExecProcess";
	answer = bench_start("e");
	cr_expect(strstr(answer.err.text, "no such file"), "%s", answer.err.text);
	bench_delete("e");
	close(reader);
}
