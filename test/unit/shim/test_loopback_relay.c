/*
 * What a pod does for those who connect to localhost in its network namespace.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_guest.h"
#include "service_bench.h"
#include "shim/network/loopback.h"
#include "test/unit/shim/loopback_fixture.h"

#define CONFIG                                                                                     \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"rootfs\"},"                                                          \
	"\"linux\":{\"namespaces\":[{\"type\":\"mount\"},"                                         \
	"{\"type\":\"network\",\"path\":\"/run/netns/blue\"}]}}"

static struct netns *netns;

static void setup(void)
{
	skip_without_bpf();
	unshare_network();
	sh("ip netns add blue && ip -n blue link set lo up");
	cr_assert_eq(netns_open("/run/netns/blue", &netns, NULL), 0);
	bench_setup();
	cr_assert_eq(loopback_create(&bench.pod.loopback, NULL), 0);
	pod_bench_write_config(CONFIG);
}

static void teardown(void)
{
	bench_teardown();
	cr_expect_eq(connect_in(netns, "127.0.0.1", 80), REFUSED);
	netns_destroy(netns);
}

TestSuite(loopback_relay, .init = setup, .fini = teardown, .timeout = 120);

static void expect_end(int fd, int result, int cause)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char byte;

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	cr_assert_eq(poll(&wait, 1, 60000), 1);
	cr_expect_eq(read(fd, &byte, 1), result);
	if (result < 0)
		cr_expect_eq(errno, cause, "%s", strerror(errno));
}

Test(loopback_relay, a_connection_is_handed_over_with_its_port)
{
	size_t before;
	int fd, fd6;
	char got[5];

	bench_run_container();
	before = fake.n_streams;
	fd = connect_in(netns, "127.0.0.1", 8080);
	bench_settle();
	fd6 = connect_in(netns, "::1", 53);
	bench_settle();
	cr_assert_eq(fake.n_streams, before + 2);
	cr_expect_str_eq(fake.streams[before].greeting, "port:8080");
	cr_expect_str_eq(fake.streams[before + 1].greeting, "port:53");
	cr_assert_eq(write(fake.streams[before].fd, "hello", 5), 5);
	cr_assert_eq(read(fd, got, 5), 5);
	fake_stream_done(before);
	expect_end(fd, 0, 0);
	fake_stream_done(before + 1);
	close(fd);
	close(fd6);
}

Test(loopback_relay, who_connects_while_the_guest_boots_is_served_then)
{
	struct answer answer = { 0 };
	size_t before = fake.n_streams;
	int fd;

	fake.no_hello = true;
	bench_serve(60000);
	bench_ask_create(&answer);
	bench_settle();
	fd = connect_in(netns, "127.0.0.1", 8080);
	cr_assert_geq(fd, 0);
	bench_settle();
	cr_expect_eq(fake.n_streams, before);
	fake_kill_vm("as told");
	bench_settle();
	expect_end(fd, -1, ECONNRESET);
	close(fd);
}

Test(loopback_relay, an_agent_that_does_not_know_it_has_nobody_listen)
{
	fake.upstream = true;
	bench_run_container();
	cr_expect_eq(connect_in(netns, "127.0.0.1", 8080), REFUSED);
}

Test(loopback_relay, connections_end_with_the_machine)
{
	int fd;

	bench_run_container();
	fd = connect_in(netns, "127.0.0.1", 8080);
	bench_settle();
	fake_kill_vm("as told");
	bench_settle();
	expect_end(fd, 0, 0);
	cr_expect_eq(connect_in(netns, "127.0.0.1", 8080), REFUSED);
	close(fd);
}

Test(loopback_relay, a_stream_that_cannot_be_opened_ends_its_connection_only)
{
	size_t before;
	int fd;

	bench_run_container();
	fake.streams_refuse = true;
	fd = connect_in(netns, "127.0.0.1", 8080);
	bench_settle();
	expect_end(fd, 0, 0);
	close(fd);
	fake.streams_refuse = false;
	before = fake.n_streams;
	fd = connect_in(netns, "127.0.0.1", 8081);
	bench_settle();
	cr_assert_eq(fake.n_streams, before + 1);
	cr_expect_str_eq(fake.streams[before].greeting, "port:8081");
	close(fd);
}
