/*
 * Standard streams by calls: a client that is no shim of ours, and opens no streams.
 */
#include "agent/pod/stdio.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/pod/call_output.h"
#include "agent/pod/exec.h"
#include "agent/pod/sandbox.h"
#include "common/buf.h"
#include "common/mem.h"
#include "test/unit/agent/fakes.h"
#include "test/unit/agent/host.h"

#define OUTPUT_MAX (4 << 20)
#define PIPE_BYTES ((size_t)64 << 10)

static const uint32_t no_ports[3];
static struct host host;

static void setup(void)
{
	host_init(&host);
	host.caller.is_shim = false;
}

static void teardown(void)
{
	if (host.sandbox)
		host_remove(&host, "c1"); /* what still runs */
	host_fini(&host);
}

TestSuite(stdio, .init = setup, .fini = teardown, .timeout = 60);

static void begin_read(const char *method, const char *exec_id, uint32_t len,
                       struct host_call *call)
{
	Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;

	request.container_id = "c1";
	request.exec_id = (char *)exec_id;
	request.len = len;
	host_begin(&host, method, &request.base, call);
}

/* One answer to @method as text, which is to be freed. */
static char *read_once(const char *method, const char *exec_id, uint32_t len)
{
	struct host_call call;

	begin_read(method, exec_id, len, &call);
	host_finish(&host, &call);
	cr_assert_eq(call.err.code, ERROR_NONE, "%s", call.err.text);
	return call.data;
}

/* To the end. */
static char *read_all(const char *method, const char *exec_id)
{
	struct buf text = BUF_INIT(OUTPUT_MAX);
	struct host_call call;

	do {
		begin_read(method, exec_id, 8192, &call);
		host_finish(&host, &call);
		cr_assert_eq(call.err.code, ERROR_NONE, "%s", call.err.text);
		cr_assert_leq(call.len, 8192);
		cr_assert_eq(buf_append(&text, call.data, call.len), 0);
		free(call.data);
	} while (call.len);
	buf_append(&text, "", 1);
	return text.data;
}

static void expect_output(const char *method, const char *exec_id, const char *wanted)
{
	autofree char *text = read_all(method, exec_id);

	cr_expect_str_eq(text, wanted);
}

/* A terminal's output may come in parts. */
static void expect_line(const char *wanted)
{
	char line[64] = "";
	size_t len = 0;

	while (!strchr(line, '\n')) {
		autofree char *part = read_once("ReadStdout", "", 10);

		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s", part);
		cr_assert_lt(len, sizeof(line));
	}
	cr_expect_str_eq(line, wanted);
}

static enum error_code read_error(const char *id, const char *exec_id)
{
	Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
	struct host_call call;

	request.container_id = (char *)id;
	request.exec_id = (char *)exec_id;
	request.len = 1;
	host_call(&host, "ReadStdout", &request.base, &call);
	free(call.data);
	return call.err.code;
}

/* Its calls have come, and then its end. */
static void lose_client(void)
{
	cr_assert_eq(read_error("c2", ""), ERROR_INVALID_ARGUMENT);
	host_reconnect(&host);
	cr_assert_eq(read_error("c2", ""), ERROR_INVALID_ARGUMENT);
}

static void begin_write(const char *exec_id, const char *data, size_t len, struct host_call *call)
{
	Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;

	request.container_id = "c1";
	request.exec_id = (char *)exec_id;
	request.data.data = (uint8_t *)data;
	request.data.len = len;
	host_begin(&host, "WriteStdin", &request.base, call);
}

static enum error_code write_text(const char *exec_id, const char *text)
{
	struct host_call call;

	begin_write(exec_id, text, strlen(text), &call);
	host_finish(&host, &call);
	if (call.err.code == ERROR_NONE)
		cr_expect_eq(call.len, strlen(text));
	return call.err.code;
}

static void run(const char *script)
{
	cr_assert_eq(host_create(&host, "c1", script, 0), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
}

static void run_exec(const char *exec_id, const char *script)
{
	cr_assert_eq(host_exec(&host, "c1", exec_id, script, no_ports), ERROR_NONE);
}

Test(stdio, output_comes_in_pieces_of_the_length_asked_for_and_then_its_end)
{
	char *part;

	run("echo hello");
	part = read_once("ReadStdout", "", 2);
	cr_expect_str_eq(part, "he");
	free(part);
	part = read_once("ReadStdout", "c1", 0);
	cr_expect_str_eq(part, "", "nothing was asked for");
	free(part);
	expect_output("ReadStdout", "c1", "llo\n");
	expect_output("ReadStdout", "c1", "");
	cr_expect_eq(host_wait(&host, "c1", ""), 0);
	expect_output("ReadStdout", "", "");
	cr_expect_eq(host_remove(&host, "c1"), ERROR_NONE);
}

Test(stdio, stderr_is_apart)
{
	run("echo out; echo bad >&2");
	expect_output("ReadStderr", "", "bad\n");
	expect_output("ReadStdout", "", "out\n");
}

Test(stdio, an_init_s_output_is_there_after_its_exit_until_its_removal)
{
	run("echo late; exit 3");
	cr_expect_eq(host_wait(&host, "c1", ""), 3);
	expect_output("ReadStdout", "", "late\n");
	cr_expect_eq(host_wait(&host, "c1", ""), 3);
	cr_expect_eq(host_remove(&host, "c1"), ERROR_NONE);
	cr_expect_eq(read_error("c1", ""), ERROR_INVALID_ARGUMENT);
}

Test(stdio, an_exec_s_output_is_there_after_it_was_waited_for)
{
	run("exec sleep 100");
	run_exec("e1", "echo late; echo bad >&2; exit 3");
	cr_expect_eq(host_wait(&host, "c1", "e1"), 3);
	expect_output("ReadStdout", "e1", "late\n");
	expect_output("ReadStderr", "e1", "bad\n");
	cr_expect_eq(read_error("c1", "e1"), ERROR_NOT_FOUND, "it is forgotten");
	cr_expect_eq(host_wait(&host, "c1", "e1"), -ERROR_NOT_FOUND);
}

Test(stdio, an_exec_that_was_read_is_forgotten_when_it_is_waited_for)
{
	run("exec sleep 100");
	run_exec("e1", "echo early; exit 4");
	expect_output("ReadStderr", "e1", "");
	expect_output("ReadStdout", "e1", "early\n");
	cr_expect_eq(host_wait(&host, "c1", "e1"), 4);
	cr_expect_eq(host_wait(&host, "c1", "e1"), -ERROR_NOT_FOUND);
}

Test(stdio, execs_that_nobody_reads_do_not_pile_up)
{
	char id[8];

	run("exec sleep 100");
	for (int i = 0; i < EXECS_UNREAD_MAX + 3; i++) {
		snprintf(id, sizeof(id), "e%d", i);
		run_exec(id, "echo unread");
		cr_assert_eq(host_wait(&host, "c1", id), 0);
	}
	cr_expect_eq(read_error("c1", "e0"), ERROR_NOT_FOUND);
	cr_expect_eq(read_error("c1", "e1"), ERROR_NOT_FOUND);
	expect_output("ReadStdout", "e2", "unread\n");
	run_exec("e3", "echo again");
	cr_expect_eq(host_wait(&host, "c1", "e3"), 0);
	expect_output("ReadStdout", "e3", "again\n");
}

Test(stdio, a_read_waits_for_output)
{
	struct host_call reads[2];

	run("read line; echo \"$line\"; read line; echo \"$line\"");
	for (int i = 0; i < 2; i++)
		begin_read("ReadStdout", "", 100, &reads[i]);
	for (int i = 0; i < 2; i++) {
		cr_expect_not(reads[i].done);
		cr_expect_eq(write_text("", i ? "two\n" : "one\n"), ERROR_NONE);
		host_finish(&host, &reads[i]);
		cr_expect_str_eq(reads[i].data, i ? "two\n" : "one\n");
		free(reads[i].data);
	}
}

Test(stdio, a_read_that_nobody_waits_for_takes_nothing)
{
	struct host_call lost;

	run("echo ready; read line; echo \"$line\"");
	free(read_once("ReadStdout", "", 100)); /* and it has no socket of ours any more */
	begin_read("ReadStdout", "", 100, &lost);
	lose_client();
	cr_expect_eq(write_text("", "kept\n"), ERROR_NONE);
	expect_output("ReadStdout", "", "kept\n");
}

/* In memory is what a pipe holds. */
Test(stdio, a_process_waits_until_its_output_is_read)
{
	struct host_call wait;
	char *text;

	run("dd if=/dev/zero bs=1024 count=1024 2>/dev/null | tr '\\0' x");
	host_begin_wait(&host, "c1", "", &wait);
	for (int i = 0; i < 100; i++) {
		cr_expect_eq(read_error("c2", ""), ERROR_INVALID_ARGUMENT);
		usleep(1000);
	}
	cr_expect_not(wait.done);
	text = read_all("ReadStdout", "");
	cr_expect_eq(strlen(text), 1 << 20);
	free(text);
	host_finish(&host, &wait);
	cr_expect_eq(wait.status, 0);
}

Test(stdio, what_is_left_of_its_process_does_not_keep_an_output_open)
{
	run("exec sleep 100");
	run_exec("e1", "sleep 100 & echo here");
	expect_output("ReadStdout", "e1", "here\n");
	expect_output("ReadStderr", "e1", "");
	cr_expect_eq(host_wait(&host, "c1", "e1"), 0);
	cr_expect_eq(read_error("c1", "e1"), ERROR_NOT_FOUND);
}

Test(stdio, input_ends_by_a_write_of_nothing)
{
	run("cat; echo end");
	cr_expect_eq(write_text("c1", "in"), ERROR_NONE);
	cr_expect_eq(write_text("c1", ""), ERROR_NONE);
	expect_output("ReadStdout", "c1", "inend\n");
}

Test(stdio, input_ends_by_close_stdin)
{
	Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;

	request.container_id = "c1";
	run("cat; exec sleep 100");
	cr_expect_eq(write_text("", "in"), ERROR_NONE);
	cr_expect_eq(host_call(&host, "CloseStdin", &request.base, NULL), ERROR_NONE);
	cr_expect_eq(write_text("", "more"), ERROR_FAILED_PRECONDITION);
}

Test(stdio, a_write_is_answered_when_the_process_has_taken_all_of_it)
{
	size_t len = 16 * PIPE_BYTES;
	autofree char *data = mem_alloc(len);
	Grpc__CloseStdinRequest closing = GRPC__CLOSE_STDIN_REQUEST__INIT;
	struct host_call write_call, other;
	char *text;

	memset(data, 'x', len);
	closing.container_id = "c1";
	run("exec cat");
	begin_write("", data, len, &write_call);
	begin_write("", "more", 4, &other);
	host_finish(&host, &other);
	cr_expect_eq(other.err.code, ERROR_FAILED_PRECONDITION);
	cr_expect_str_eq(other.err.text, "another call writes to the process's stdin");
	cr_expect_not(write_call.done);
	cr_expect_eq(host_call(&host, "CloseStdin", &closing.base, NULL), ERROR_NONE);
	text = read_all("ReadStdout", "");
	cr_expect_eq(strlen(text), len, "its end comes after what was on its way");
	free(text);
	host_finish(&host, &write_call);
	cr_expect_eq(write_call.err.code, ERROR_NONE);
	cr_expect_eq(write_call.len, len);
}

Test(stdio, a_write_fails_when_its_process_ends)
{
	size_t len = 4 * PIPE_BYTES;
	autofree char *data = mem_alloc(len);
	struct host_call call;

	run("exec sleep 100");
	begin_write("", data, len, &call);
	cr_expect_eq(host_signal(&host, "c1", "", SIGKILL), ERROR_NONE);
	host_finish(&host, &call);
	cr_expect_eq(call.err.code, ERROR_FAILED_PRECONDITION);
	cr_expect_eq(host_wait(&host, "c1", ""), 128 + SIGKILL);
	cr_expect_eq(write_text("", "more"), ERROR_NOT_FOUND);
}

Test(stdio, a_write_to_a_process_that_reads_no_more_fails)
{
	run("exec <&-; echo closed; exec sleep 100");
	free(read_once("ReadStdout", "", 100));
	cr_expect_eq(write_text("", "in"), ERROR_FAILED_PRECONDITION);
}

Test(stdio, a_write_that_nobody_waits_for_goes_on_being_none)
{
	size_t len = 4 * PIPE_BYTES;
	autofree char *data = mem_alloc(len);
	struct host_call lost;

	run("echo ready; exec sleep 100");
	free(read_once("ReadStdout", "", 100)); /* and it has no socket of ours any more */
	begin_write("", data, len, &lost);
	lose_client();
	begin_write("", data, len, &lost);
	cr_assert_eq(read_error("c2", ""), ERROR_INVALID_ARGUMENT);
	cr_expect_not(lost.done, "there is room for another call");
	cr_expect_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_finish(&host, &lost);
	cr_expect_eq(lost.err.code, ERROR_FAILED_PRECONDITION);
}

Test(stdio, a_terminal_is_read_and_written_and_has_a_size)
{
	Grpc__TtyWinResizeRequest resize = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
	const char *script = "stty -echo; echo ready; read line; stty size; echo \"$line\"";

	cr_assert_eq(host_create_terminal(&host, "c1", script), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	expect_line("ready\r\n");
	resize.container_id = "c1";
	resize.row = 33;
	resize.column = 44;
	cr_expect_eq(host_call(&host, "TtyWinResize", &resize.base, NULL), ERROR_NONE);
	expect_output("ReadStderr", "", "");
	cr_expect_eq(write_text("", ""), ERROR_NONE, "a terminal stays open");
	cr_expect_eq(write_text("", "typed\n"), ERROR_NONE);
	expect_output("ReadStdout", "", "33 44\r\ntyped\r\n");
	cr_expect_eq(host_wait(&host, "c1", ""), 0);
}

Test(stdio, a_terminal_s_last_words_are_there_after_its_exit)
{
	cr_assert_eq(host_create_terminal(&host, "c1", "echo last; exit 5"), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_expect_eq(host_wait(&host, "c1", ""), 5);
	expect_output("ReadStdout", "", "last\r\n");
}

Test(stdio, what_a_removal_kills_is_read_to_its_end)
{
	struct host_call read;

	run("exec sleep 100");
	begin_read("ReadStdout", "", 100, &read);
	cr_expect_eq(host_remove(&host, "c1"), ERROR_NONE);
	host_finish(&host, &read);
	cr_expect_eq(read.err.code, ERROR_NONE);
	cr_expect_eq(read.len, 0);
	free(read.data);
}

Test(stdio, reads_are_answered_when_the_sandbox_goes)
{
	struct host_call read;

	cr_assert_eq(host_create(&host, "c1", "exec sleep 100", 0), ERROR_NONE);
	begin_read("ReadStdout", "", 100, &read);
	cr_assert_eq(read_error("c2", ""), ERROR_INVALID_ARGUMENT);
	sandbox_destroy(take_ptr(&host.sandbox));
	host_finish(&host, &read);
	cr_expect_eq(read.err.code, ERROR_NOT_FOUND);
}

Test(stdio, a_shim_s_process_without_ports_has_none_for_calls)
{
	host.caller.is_shim = true;
	run("echo unread; exec sleep 100");
	cr_expect_eq(read_error("c1", ""), ERROR_FAILED_PRECONDITION);
	cr_expect_eq(write_text("", "in"), ERROR_FAILED_PRECONDITION);
	cr_expect_eq(write_text("", ""), ERROR_FAILED_PRECONDITION);
}

Test(stdio, ports_are_streams_for_any_client)
{
	int out = host_stream(&host, 1);
	char *text;

	cr_assert_eq(host_create(&host, "c1", "echo hello", 1), ERROR_NONE);
	cr_assert_eq(host_start(&host, "c1"), ERROR_NONE);
	cr_expect_eq(read_error("c1", ""), ERROR_FAILED_PRECONDITION);
	text = host_read_all(&host, out);
	cr_expect_str_eq(text, "hello\n");
	free(text);
}

Test(stdio, an_unknown_process_is_named_by_its_code)
{
	run("exec sleep 100");
	cr_expect_eq(read_error("c2", ""), ERROR_INVALID_ARGUMENT);
	cr_expect_eq(read_error("c1", "e1"), ERROR_NOT_FOUND);
	cr_expect_eq(write_text("e1", "in"), ERROR_NOT_FOUND);
}
