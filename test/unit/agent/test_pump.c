#include "agent/pod/pump.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"

#define WAIT_S 60.0
#define TURNS  100 /* of the loop, where all that it waits for is there already */

static void on_ended(void *ctx)
{
	*(bool *)ctx = true;
}

static void on_alarm(struct ev_loop *loop, ev_timer *watcher, int events)
{
	ev_break(loop, EVBREAK_ONE);
}

/* Turns the loop until *@flag, or for WAIT_S. */
static void run_until(struct ev_loop *loop, const bool *flag)
{
	ev_timer alarm;

	ev_timer_init(&alarm, on_alarm, 0, 0.005);
	ev_timer_again(loop, &alarm);
	for (int i = 0; i < WAIT_S / 0.005 && !*flag; i++)
		ev_run(loop, 0);
	ev_timer_stop(loop, &alarm);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	*(bool *)watcher->data = true;
}

static void run_until_readable(struct ev_loop *loop, int fd)
{
	bool readable = false;
	ev_io io;

	ev_io_init(&io, on_readable, fd, EV_READ);
	io.data = &readable;
	ev_io_start(loop, &io);
	run_until(loop, &readable);
	ev_io_stop(loop, &io);
	cr_assert(readable);
}

/* A pipe to a socket: @in is written to, @out read from. */
struct bench {
	struct ev_loop *loop;
	int in;
	int out;
	int from;
	int to;
	bool ended;
	struct pump *pump;
};

static void bench_init(struct bench *bench)
{
	int pipes[2], sockets[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	*bench = (struct bench){ .loop = ev_loop_new(0), .in = pipes[1], .out = sockets[1] };
	bench->from = pipes[0];
	bench->to = sockets[0];
}

static void bench_fini(struct bench *bench)
{
	pump_destroy(bench->pump);
	ev_loop_destroy(bench->loop);
}

static void start_output(struct bench *bench)
{
	bench->pump = pump_create(bench->loop, bench->from, bench->to, on_ended, &bench->ended);
}

Test(pump, copies_and_shuts_the_socket_down_after_the_last_byte)
{
	struct bench bench;
	char text[16];

	bench_init(&bench);
	start_output(&bench);
	cr_assert_eq(write(bench.in, "hello", 5), 5);
	close(bench.in);
	run_until_readable(bench.loop, bench.out);
	cr_assert_eq(read(bench.out, text, sizeof(text)), 5);
	run_until_readable(bench.loop, bench.out);
	cr_assert_eq(read(bench.out, text, sizeof(text)), 0, "the end follows the bytes");
	for (int i = 0; i < TURNS; i++)
		ev_run(bench.loop, EVRUN_NOWAIT);
	cr_assert_not(bench.ended, "it waits for its peer to close, so that nothing is cut off");
	close(bench.out);
	run_until(bench.loop, &bench.ended);
	cr_assert(bench.ended);
	bench_fini(&bench);
}

/* Writes all of @data without blocking as the loop turns, reads it back slowly. */
Test(pump, a_slow_reader_gets_every_byte_in_order)
{
	enum {
		SIZE = 3 << 20
	};
	struct bench bench;
	unsigned char *got = mem_alloc(SIZE), *sent = mem_alloc(SIZE);
	size_t in = 0, out = 0;

	bench_init(&bench);
	for (size_t i = 0; i < SIZE; i++)
		sent[i] = (unsigned char)(i * 31 + i / 257);
	fcntl(bench.in, F_SETFL, O_NONBLOCK);
	start_output(&bench);
	while (out < SIZE) {
		ssize_t n = in < SIZE ? write(bench.in, sent + in, SIZE - in) : -1;

		in += n > 0 ? (size_t)n : 0;
		for (int i = 0; i < 4; i++)
			ev_run(bench.loop, EVRUN_NOWAIT);
		n = recv(bench.out, got + out, 10007, MSG_DONTWAIT);
		out += n > 0 ? (size_t)n : 0;
	}
	cr_assert_arr_eq(got, sent, SIZE);
	close(bench.in);
	close(bench.out);
	run_until(bench.loop, &bench.ended);
	cr_assert(bench.ended);
	bench_fini(&bench);
	free(got);
	free(sent);
}

Test(pump, a_pipe_is_closed_at_the_end_of_its_socket)
{
	struct bench bench;
	char text[16];
	int pipes[2];

	bench_init(&bench);
	cr_assert_eq(pipe(pipes), 0);
	bench.pump = pump_create(bench.loop, bench.to, pipes[1], on_ended, &bench.ended);
	cr_assert_eq(write(bench.out, "in", 2), 2);
	shutdown(bench.out, SHUT_WR);
	run_until(bench.loop, &bench.ended);
	cr_assert(bench.ended);
	cr_assert_eq(read(pipes[0], text, sizeof(text)), 2);
	cr_assert_eq(read(pipes[0], text, sizeof(text)), 0);
	bench_fini(&bench);
}

Test(pump, the_writer_is_told_when_nobody_reads)
{
	struct bench bench;

	bench_init(&bench);
	start_output(&bench);
	close(bench.out);
	cr_assert_eq(write(bench.in, "x", 1), 1);
	run_until(bench.loop, &bench.ended);
	cr_assert(bench.ended);
	cr_assert_eq(write(bench.in, "x", 1), -1);
	cr_assert_eq(errno, EPIPE);
	bench_fini(&bench);
}

Test(pump, finish_copies_what_has_arrived_and_ends)
{
	struct bench bench;
	int pipes[2];
	char text[16];

	bench_init(&bench);
	cr_assert_eq(pipe(pipes), 0);
	bench.pump = pump_create(bench.loop, bench.to, pipes[1], on_ended, &bench.ended);
	cr_assert_eq(write(bench.out, "last", 4), 4);
	pump_finish(bench.pump);
	run_until(bench.loop, &bench.ended);
	cr_assert(bench.ended);
	cr_assert_eq(read(pipes[0], text, sizeof(text)), 4);
	cr_assert_eq(read(pipes[0], text, sizeof(text)), 0);
	bench_fini(&bench);
}
