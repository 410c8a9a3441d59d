#include "agent/launch/launch_wire.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/launch/console.h"
#include "test/unit/open_descriptors.h"

static int agent;
static int child;

static void setup(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	agent = pair[0];
	child = pair[1];
	cr_assert_eq(launch_wire_ask_sender(agent), 0);
}

static void teardown(void)
{
	close(agent);
	close(child);
}

TestSuite(launch_wire, .init = setup, .fini = teardown);

Test(launch_wire, message_comes_with_its_sender)
{
	struct launch_message message = { .kind = LAUNCH_FAILED, .code = 5, .text = "why" };
	struct launch_received received;

	cr_assert_eq(launch_wire_receive(agent, &received), -1, "nothing was sent yet");
	cr_assert_eq(launch_wire_send(child, &message), 0);
	cr_assert_eq(launch_wire_receive(agent, &received), (ssize_t)sizeof(message));
	cr_expect_eq(received.message.kind, LAUNCH_FAILED);
	cr_expect_str_eq(received.message.text, "why");
	cr_expect_eq(received.pid, getpid());
	cr_expect_eq(received.fd, -1);
}

Test(launch_wire, only_a_masters_descriptor_is_one)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	struct launch_received received;
	int slave;

	cr_assert_geq(master, 0);
	cr_assert_eq(launch_wire_send_console(child, master), 0);
	cr_assert_eq(launch_wire_receive(agent, &received), (ssize_t)sizeof(struct launch_message));
	cr_expect_eq(received.message.kind, LAUNCH_CONSOLE);
	cr_expect(console_is_master(received.fd));
	close(received.fd);
	cr_assert_eq(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	cr_assert_geq(slave, 0);
	cr_expect_not(console_is_master(slave));
	cr_expect_not(console_is_master(agent));
	close(slave);
	close(master);
}

/* As many as fit are more than are asked for. */
Test(launch_wire, further_descriptors_are_closed)
{
	struct launch_message message = { .kind = LAUNCH_CONSOLE };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(5 * sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET,
		                  .cmsg_type = SCM_RIGHTS,
		                  .cmsg_len = CMSG_LEN(5 * sizeof(int)) } };
	struct iovec iov = { .iov_base = &message, .iov_len = sizeof(message) };
	struct msghdr msg = { .msg_iov = &iov,
		              .msg_iovlen = 1,
		              .msg_control = &control,
		              .msg_controllen = sizeof(control) };
	const int fds[5] = { 0, 0, 0, 0, 0 };
	int before = open_descriptors();
	struct launch_received received;

	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	cr_assert_gt(sendmsg(child, &msg, 0), 0);
	cr_assert_eq(launch_wire_receive(agent, &received), (ssize_t)sizeof(struct launch_message));
	cr_expect_geq(received.fd, 0);
	close(received.fd);
	cr_expect_eq(open_descriptors(), before);
}
