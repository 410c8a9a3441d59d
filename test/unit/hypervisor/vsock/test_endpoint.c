#include "hypervisor/vsock/endpoint.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define KEEP (256 << 10)

static struct endpoint endpoint;
static int reader;
static char bytes[KEEP];
static char got[KEEP];

static void set_up(void)
{
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 31);
	cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
	reader = ends[0];
	endpoint_init(&endpoint, KEEP);
	endpoint_open(&endpoint, ends[1]);
}

static void tear_down(void)
{
	endpoint_fini(&endpoint);
}

TestSuite(endpoint, .init = set_up, .fini = tear_down);

Test(endpoint, writes_straight_and_keeps_nothing)
{
	struct iovec iov[] = { { bytes, 10 }, { bytes + 10, 20 } };

	cr_assert_eq(endpoint_write(&endpoint, iov, 2), 30);
	cr_assert_eq(endpoint.kept.len, 0);
	cr_assert_null(endpoint.kept.data);
	cr_assert_eq(read(reader, got, sizeof(got)), 30);
	cr_assert_arr_eq(got, bytes, 30);
}

Test(endpoint, keeps_what_a_slow_reader_leaves_and_gives_the_memory_back)
{
	struct iovec iov[] = { { bytes, sizeof(bytes) } };
	ssize_t first = endpoint_write(&endpoint, iov, 1);
	size_t at = 0;

	cr_assert_gt(first, 0);
	cr_assert_not(endpoint.writable);
	cr_assert_eq(endpoint.kept.len, sizeof(bytes) - first);
	while (at < sizeof(bytes)) {
		ssize_t n = read(reader, got + at, sizeof(got) - at);

		cr_assert_gt(n, 0);
		at += n;
		endpoint_event(&endpoint, EPOLLOUT);
		cr_assert_geq(endpoint_flush(&endpoint), 0);
	}
	cr_assert_arr_eq(got, bytes, sizeof(bytes));
	cr_assert_eq(endpoint.moved, sizeof(bytes));
	cr_assert_null(endpoint.kept.data);
}

Test(endpoint, keeps_all_until_it_has_a_descriptor)
{
	struct iovec iov[] = { { bytes, 5 } };
	int fd = dup(endpoint.fd);

	endpoint_fini(&endpoint);
	endpoint_init(&endpoint, KEEP);
	cr_assert_eq(endpoint_write(&endpoint, iov, 1), 0);
	endpoint_open(&endpoint, fd);
	cr_assert_eq(endpoint_flush(&endpoint), 5);
}

Test(endpoint, a_reader_that_has_gone_is_an_error)
{
	struct iovec iov[] = { { bytes, 5 } };

	close(reader);
	cr_assert_eq(endpoint_write(&endpoint, iov, 1), -EPIPE);
}
