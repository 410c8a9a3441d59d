#include "agent/guest/duplex.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/open_descriptors.h"

#define MANY (8 << 20)

static struct ev_loop *loop;
static struct duplex *duplex;
static int ends; /* calls of on_ended() */
static int a, b; /* the peers' ends */

static void on_ended(void *ctx)
{
	ends++;
}

static void tcp_pair(int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&address, &len);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(pair[0], (struct sockaddr *)&address, len), 0);
	pair[1] = accept(listener, NULL, NULL);
	close(listener);
}

static void setup(void)
{
	int one[2], other[2];

	loop = ev_loop_new(0);
	tcp_pair(one);
	tcp_pair(other);
	a = one[0];
	b = other[0];
	fcntl(a, F_SETFL, O_NONBLOCK);
	fcntl(b, F_SETFL, O_NONBLOCK);
	duplex = duplex_create(loop, one[1], other[1], on_ended, NULL);
}

static void teardown(void)
{
	duplex_destroy(duplex);
	ev_loop_destroy(loop);
	close(a);
	close(b);
}

TestSuite(duplex, .init = setup, .fini = teardown, .timeout = 120);

static void run(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

/* What comes next: bytes, 0 for the end, -errno. */
static ssize_t receive(int fd, void *data, size_t len)
{
	for (int i = 0; i < 600000; i++) {
		ssize_t n = read(fd, data, len);

		if (n >= 0 || errno != EAGAIN)
			return n < 0 ? -errno : n;
		run();
		usleep(100);
	}
	return -ETIMEDOUT;
}

Test(duplex, bytes_and_half_closes_go_both_ways)
{
	char got[8];

	cr_assert_eq(write(a, "there", 5), 5);
	cr_assert_eq(receive(b, got, sizeof(got)), 5);
	cr_assert_arr_eq(got, "there", 5);
	shutdown(a, SHUT_WR);
	cr_assert_eq(receive(b, got, sizeof(got)), 0);
	cr_expect_eq(ends, 0);
	cr_assert_eq(write(b, "back", 4), 4);
	cr_assert_eq(receive(a, got, sizeof(got)), 4);
	close(b);
	b = -1;
	cr_assert_eq(receive(a, got, sizeof(got)), 0);
	for (int i = 0; i < 100 && !ends; i++)
		run();
	cr_expect_eq(ends, 1);
}

/* Each peer sends as long as it can, and reads what comes. */
Test(duplex, what_is_more_than_any_buffer_arrives_whole)
{
	static char block[32 << 10], got[32 << 10];
	size_t sent[2] = { 0 }, received[2] = { 0 };
	int fds[2] = { a, b };

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)(i * 2654435761U >> 24);
	while (received[0] < MANY || received[1] < MANY) {
		for (int i = 0; i < 2; i++) {
			size_t at = sent[i] % sizeof(block);
			ssize_t n =
				sent[i] == MANY ? 0 : write(fds[i], block + at, sizeof(block) - at);

			sent[i] += n > 0 ? (size_t)n : 0;
			at = received[i] % sizeof(block);
			n = read(fds[i], got, sizeof(block) - at);
			cr_assert(n > 0 || errno == EAGAIN);
			if (n > 0)
				cr_assert_arr_eq(got, block + at, (size_t)n);
			received[i] += n > 0 ? (size_t)n : 0;
		}
		run();
	}
}

Test(duplex, a_reader_that_is_slow_holds_the_writer_and_not_the_loop)
{
	static char block[1 << 20];
	size_t sent = 0;
	unsigned int before;
	ssize_t n;

	for (int idle = 0; idle < 200;) {
		n = write(a, block, sizeof(block));
		idle = n > 0 ? 0 : idle + 1;
		sent += n > 0 ? (size_t)n : 0;
		run();
		usleep(1000);
	}
	cr_expect_lt(sent, 64 << 20, "backpressure");
	before = ev_iteration(loop);
	for (int i = 0; i < 10; i++)
		run();
	cr_expect_leq(ev_iteration(loop), before + 10);
	cr_assert_eq(write(b, "x", 1), 1); /* the other direction goes on */
	cr_assert_eq(receive(a, block, 1), 1);
}

static void reset(int *fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(*fd);
	*fd = -1;
}

Test(duplex, a_reset_of_one_side_is_one_of_the_other)
{
	char byte;

	reset(&a);
	cr_expect_eq(receive(b, &byte, 1), -ECONNRESET);
	cr_expect_eq(ends, 1);
}

Test(duplex, one_that_is_destroyed_resets_both)
{
	int fds = open_descriptors();
	char byte;

	duplex_destroy(duplex);
	duplex = NULL;
	cr_expect_eq(receive(a, &byte, 1), -ECONNRESET);
	cr_expect_eq(receive(b, &byte, 1), -ECONNRESET);
	cr_expect_eq(ends, 0);
	cr_expect_eq(open_descriptors(), fds - 2);
}

/* As a socket of vsock: it takes nothing any more, and reads as ended. A Unix socket does alike. */
Test(duplex, an_end_of_a_peer_that_takes_nothing_more_is_a_reset)
{
	int one[2], other[2], called = ends;
	struct duplex *second;
	char byte;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, one), 0);
	tcp_pair(other);
	fcntl(other[0], F_SETFL, O_NONBLOCK);
	second = duplex_create(loop, one[1], other[1], on_ended, NULL);
	close(one[0]);
	cr_expect_eq(receive(other[0], &byte, 1), -ECONNRESET);
	cr_expect_eq(ends, called + 1);
	duplex_destroy(second);
	close(other[0]);
}
