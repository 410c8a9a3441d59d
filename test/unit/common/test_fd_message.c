#include "common/fd_message.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/open_descriptors.h"

static int ends[2];
static int null;
static char data[100];
static int fds[FD_MESSAGE_MAX];
static size_t nfds;

static void set_up(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	null = open("/dev/null", O_RDONLY);
	cr_assert_geq(null, 0);
}

TestSuite(fd_message, .init = set_up);

static void send_copies(size_t n)
{
	int copies[FD_MESSAGE_MAX];

	for (size_t i = 0; i < n; i++)
		copies[i] = null;
	cr_assert_eq(fd_message_send(ends[0], "data", 4, copies, n), 4);
}

Test(fd_message, brings_bytes_and_descriptors)
{
	send_copies(3);
	cr_assert_eq(fd_message_receive(ends[1], data, sizeof(data), fds, 3, &nfds), 4);
	cr_expect(!memcmp(data, "data", 4));
	cr_assert_eq(nfds, 3);
	for (size_t i = 0; i < nfds; i++)
		cr_expect(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
}

Test(fd_message, without_descriptors_has_none)
{
	send_copies(0);
	cr_assert_eq(fd_message_receive(ends[1], data, sizeof(data), fds, 1, &nfds), 4);
	cr_expect_eq(nfds, 0);
}

Test(fd_message, with_one_descriptor_too_many_is_refused_and_leaks_none)
{
	int before = open_descriptors();

	for (size_t n = 2; n <= FD_MESSAGE_MAX; n++) {
		send_copies(n);
		cr_expect_eq(fd_message_receive(ends[1], data, sizeof(data), fds, n - 1, &nfds),
		             -EPROTO);
		cr_expect_eq(nfds, 0);
	}
	cr_expect_eq(open_descriptors(), before);
}

Test(fd_message, with_more_descriptors_than_any_has_is_refused_and_leaks_none)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE((FD_MESSAGE_MAX + 1) * sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET,
		                  .cmsg_type = SCM_RIGHTS,
		                  .cmsg_len = CMSG_LEN((FD_MESSAGE_MAX + 1) * sizeof(int)) } };
	struct iovec iov = { .iov_base = "data", .iov_len = 4 };
	struct msghdr message = { .msg_iov = &iov,
		                  .msg_iovlen = 1,
		                  .msg_control = &control,
		                  .msg_controllen = sizeof(control) };
	int before;

	for (int i = 0; i <= FD_MESSAGE_MAX; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &null, sizeof(int));
	cr_assert_eq(sendmsg(ends[0], &message, 0), 4);
	before = open_descriptors();
	cr_expect_eq(fd_message_receive(ends[1], data, sizeof(data), fds, FD_MESSAGE_MAX, &nfds),
	             -EPROTO);
	cr_expect_eq(open_descriptors(), before);
}

Test(fd_message, never_waits_and_tells_the_end_of_file)
{
	cr_expect_eq(fd_message_receive(ends[1], data, sizeof(data), fds, 1, &nfds), -EAGAIN);
	close(ends[0]);
	cr_expect_eq(fd_message_receive(ends[1], data, sizeof(data), fds, 1, &nfds), 0);
	cr_expect_eq(fd_message_send(ends[1], "x", 1, NULL, 0), -EPIPE);
}
