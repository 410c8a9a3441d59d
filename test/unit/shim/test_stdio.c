/*
 * Where the streams of a process lead.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "fake_guest.h"
#include "service_bench.h"

TestSuite(stdio, .init = bench_setup, .fini = bench_teardown, .timeout = 120);

Test(stdio, streams_go_to_the_guest_by_their_ports)
{
	bench.fifos[0] = bench_make_fifo("in");
	bench.fifos[1] = bench_make_fifo("out");
	bench.fifos[2] = bench_make_fifo("err");
	bench_run_container();
	cr_assert_eq(fake.n_streams, 3);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(fake.ports[i], fake.streams[i].port);
	cr_assert_eq(write(fake.streams[1].fd, "x", 1), 1);
}

Test(stdio, a_terminal_has_no_stderr)
{
	bench.fifos[0] = bench_make_fifo("in");
	bench.fifos[1] = bench_make_fifo("out");
	bench.terminal = true;
	bench_run_container();
	cr_expect_eq(fake.n_streams, 2);
	cr_expect_eq(fake.ports[2], 0);
}

Test(stdio, stdin_is_read_after_start_and_ends_by_close_io)
{
	struct pollfd poll_in;
	struct answer closed;
	char byte;
	int writer;

	bench.fifos[0] = bench_make_fifo("in");
	bench_serve(60000);
	bench_create();
	writer = open(bench.fifos[0], O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(writer, 0, "nobody has opened it for reading");
	cr_expect_eq(fake.streams[0].fd, -1);
	bench_start("");
	cr_assert_geq(fake.streams[0].fd, 0);
	cr_assert_eq(write(writer, "x", 1), 1);
	close(writer);
	cr_expect_eq(read(fake.streams[0].fd, &byte, 1), 1);
	cr_expect_eq(read(fake.streams[0].fd, &byte, 1), -1, "it has not been closed");
	bench_ask_close_io(&closed, "");
	cr_assert(bench_wait_until(&closed.here));
	poll_in = (struct pollfd){ .fd = fake.streams[0].fd, .events = POLLIN };
	cr_expect_eq(poll(&poll_in, 1, 0), 1);
	cr_expect_eq(read(fake.streams[0].fd, &byte, 1), 0);
}
