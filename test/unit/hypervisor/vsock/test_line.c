#include "hypervisor/vsock/line.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd_message.h"
#include "test/unit/open_descriptors.h"

static int ends[2];
static char line[LINE_MAX_SIZE];
static int passed;

static void set_up(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

TestSuite(line, .init = set_up);

Test(line, takes_one_line_and_leaves_what_follows)
{
	cr_assert_eq(write(ends[0], "CONNECT 5\nbytes", 15), 15);
	cr_assert_eq(line_receive(ends[1], line, &passed), 1);
	cr_assert_str_eq(line, "CONNECT 5");
	cr_assert_eq(passed, -1);
	cr_assert_eq(read(ends[1], line, sizeof(line)), 5);
}

Test(line, waits_for_the_newline)
{
	cr_assert_eq(write(ends[0], "CONN", 4), 4);
	cr_assert_eq(line_receive(ends[1], line, &passed), -EAGAIN);
	cr_assert_eq(write(ends[0], "ECT\n", 4), 4);
	cr_assert_eq(line_receive(ends[1], line, &passed), 1);
	cr_assert_str_eq(line, "CONNECT");
}

Test(line, each_line_has_its_own_descriptor)
{
	int null = open("/dev/null", O_RDONLY);

	cr_assert_eq(line_send(ends[0], "one\n", null), 0);
	cr_assert_eq(line_send(ends[0], "two\n", -1), 0);
	cr_assert_eq(line_receive(ends[1], line, &passed), 1);
	cr_assert_str_eq(line, "one");
	cr_assert_geq(fcntl(passed, F_GETFD), 0);
	cr_assert(fcntl(passed, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(line_receive(ends[1], line, &passed), 1);
	cr_assert_str_eq(line, "two");
	cr_assert_eq(passed, -1);
}

Test(line, with_two_descriptors_is_refused_and_leaks_none)
{
	int null = open("/dev/null", O_RDONLY);
	int fds[] = { null, null };
	int before = open_descriptors();

	cr_assert_eq(fd_message_send(ends[0], "OK 1\n", 5, fds, 2), 5);
	cr_assert_eq(line_receive(ends[1], line, &passed), -EPROTO);
	cr_assert_eq(passed, -1);
	cr_assert_eq(open_descriptors(), before);
}

Test(line, the_end_of_file_is_0)
{
	close(ends[0]);
	cr_assert_eq(line_receive(ends[1], line, &passed), 0);
}

Test(line, a_line_that_never_ends_is_refused)
{
	char long_line[LINE_MAX_SIZE];

	memset(long_line, 'x', sizeof(long_line));
	cr_assert_eq(write(ends[0], long_line, sizeof(long_line)), (ssize_t)sizeof(long_line));
	cr_assert_eq(line_receive(ends[1], line, &passed), -EPROTO);
}

Test(line, a_line_with_a_nul_is_refused)
{
	cr_assert_eq(write(ends[0], "a\0b\n", 4), 4);
	cr_assert_eq(line_receive(ends[1], line, &passed), -EPROTO);
}

Test(line, sending_to_nobody_fails_without_a_signal)
{
	close(ends[1]);
	cr_assert_eq(line_send(ends[0], "x\n", -1), -EPIPE);
}
