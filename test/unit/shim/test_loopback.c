#include "shim/network/loopback.h"

#include <signal.h>
#include <sys/wait.h>

#include "shim/host/deny_list.h"
#include "test/unit/open_descriptors.h"
#include "test/unit/shim/loopback_fixture.h"

static struct netns *netns;

static void setup(void)
{
	skip_without_bpf();
	unshare_network();
	cr_assert_eq(netns_make(&netns, NULL), 0);
}

static void teardown(void)
{
	netns_destroy(netns);
}

TestSuite(loopback, .init = setup, .fini = teardown);

static struct loopback *open_loopback(void)
{
	struct loopback *loopback = NULL;
	struct error err = { 0 };

	cr_assert_eq(loopback_create(&loopback, &err), 0, "%s", err.text);
	cr_assert_eq(loopback_attach(loopback, netns, &err), 0, "%s", err.text);
	return loopback;
}

/* The port that who has connected meant. */
static int accepted_port(int listener)
{
	struct pollfd wait = { .fd = listener, .events = POLLIN };
	struct tcp_address address = { .size = sizeof(address.in6) };
	int fd;

	cr_assert_eq(poll(&wait, 1, 60000), 1);
	fd = accept(listener, NULL, NULL);
	cr_assert_geq(fd, 0);
	getsockname(fd, &address.any, &address.size);
	close(fd);
	return ntohs(address.in.sin_port); /* at the same place in both */
}

Test(loopback, connections_to_any_port_arrive_with_it)
{
	static const uint16_t ports[] = { 1, 53, 8080, 65535 };
	static const char *const hosts[] = { "127.0.0.1", "::1" };
	struct loopback *loopback = open_loopback();

	for (unsigned int i = 0; i < LOOPBACK_FAMILIES; i++) {
		int listener = loopback_take(loopback, i);

		cr_assert_geq(listener, 0);
		for (size_t port = 0; port < sizeof(ports) / sizeof(ports[0]); port++) {
			int fd = connect_in(netns, hosts[i], ports[port]);

			cr_assert_geq(fd, 0, "%s %d: %s", hosts[i], ports[port], strerror(-fd));
			cr_expect_eq(accepted_port(listener), ports[port]);
			close(fd);
		}
		cr_expect_eq(loopback_take(loopback, i), -1);
		close(listener);
	}
	loopback_destroy(loopback);
}

Test(loopback, what_listens_there_already_is_passed_over)
{
	int other = listen_in(netns, "127.0.0.1", 8080);
	struct loopback *loopback = open_loopback();
	int listener = loopback_take(loopback, 0);
	int fd = connect_in(netns, "127.0.0.1", 8080);

	cr_expect_eq(accepted_port(listener), 8080);
	close(fd);
	close(listener);
	close(other);
	loopback_destroy(loopback);
}

Test(loopback, other_addresses_are_left_alone)
{
	struct loopback *loopback = open_loopback();
	int other = listen_in(netns, "127.0.0.11", 53);
	int fd = connect_in(netns, "127.0.0.11", 53);

	cr_assert_geq(fd, 0);
	cr_expect_eq(accepted_port(other), 53);
	cr_expect_eq(connect_in(netns, "127.0.0.11", 54), REFUSED);
	cr_expect_eq(connect_in(netns, "127.0.0.2", 53), REFUSED);
	close(fd);
	close(other);
	loopback_destroy(loopback);
}

Test(loopback, nobody_is_there_before_and_afterwards)
{
	int fds = open_descriptors();
	struct loopback *loopback;

	cr_expect_eq(connect_in(netns, "127.0.0.1", 80), REFUSED);
	loopback = open_loopback();
	loopback_destroy(loopback);
	cr_expect_eq(connect_in(netns, "127.0.0.1", 80), REFUSED);
	cr_expect_eq(connect_in(netns, "::1", 80), REFUSED);
	cr_expect_eq(open_descriptors(), fds);
}

Test(loopback, it_is_attached_behind_the_shims_filter)
{
	struct loopback *loopback = NULL, *other = NULL;
	struct error err = { 0 };

	cr_assert_eq(loopback_create(&loopback, &err), 0, "%s", err.text);
	cr_assert_eq(deny_list_apply(&err), 0, "%s", err.text);
	cr_assert_eq(loopback_attach(loopback, netns, &err), 0, "%s", err.text);
	cr_expect_geq(connect_in(netns, "127.0.0.1", 80), 0);
	cr_expect_eq(loopback_create(&other, &err), -EPERM, "no other can be made");
	loopback_destroy(loopback);
}

static int set_down(void *ctx, struct error *err)
{
	sh("ip link set lo down");
	return 0;
}

static int set_up(void *ctx, struct error *err)
{
	sh("ip link set lo up");
	return 0;
}

Test(loopback, a_link_that_is_down_may_come_up_later)
{
	struct loopback *loopback;
	int fd;

	netns_call(netns, set_down, NULL, NULL);
	loopback = open_loopback();
	netns_call(netns, set_up, NULL, NULL);
	for (unsigned int i = 0; i < LOOPBACK_FAMILIES; i++) {
		fd = connect_in(netns, i ? "::1" : "127.0.0.1", 80);
		cr_expect_geq(fd, 0);
		close(fd);
	}
	loopback_destroy(loopback);
}

Test(loopback, a_process_that_is_killed_leaves_nothing)
{
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		open_loopback();
		(void)!write(ready[1], "x", 1);
		pause();
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	cr_assert_geq(connect_in(netns, "127.0.0.1", 80), 0);
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 200 && connect_in(netns, "127.0.0.1", 80) != REFUSED; i++)
		usleep(10000);
	cr_expect_eq(connect_in(netns, "127.0.0.1", 80), REFUSED);
}
