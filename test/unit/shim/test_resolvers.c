/*
 * What a pod does for a container whose resolv.conf names a nameserver of the host's loopback.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "fake_guest.h"
#include "proto/vsock_ports.h"
#include "service_bench.h"
#include "shim/config/config.h"
#include "test/unit/shim/loopback_fixture.h"

#define CONFIG                                                                                     \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                 \
	"\"root\":{\"path\":\"rootfs\"},\"mounts\":[{\"destination\":\"/etc/resolv.conf\","        \
	"\"type\":\"bind\",\"source\":\"/run/resolv.conf\",\"options\":[\"rbind\"]}],"             \
	"\"linux\":{\"namespaces\":[{\"type\":\"mount\"},"                                         \
	"{\"type\":\"network\",\"path\":\"/run/netns/blue\"}]}}"

static struct netns *netns;
static struct answer started;
static int control; /* the guest's end of the stream of the nameserver */

static void setup(void)
{
	unshare_network();
	sh("ip netns add blue && ip -n blue link set lo up");
	sh("echo nameserver 127.0.0.11 > /run/resolv.conf");
	cr_assert_eq(netns_open("/run/netns/blue", &netns, NULL), 0);
	bench_setup();
	pod_bench_write_config(CONFIG);
}

static void teardown(void)
{
	bench_teardown();
	netns_destroy(netns);
}

TestSuite(resolvers, .init = setup, .fini = teardown, .timeout = 120);

/* The number of the newest stream with this greeting. */
static int find_stream(const char *greeting)
{
	for (size_t i = fake.n_streams; i > 0; i--)
		if (!strcmp(fake.streams[i - 1].greeting, greeting))
			return (int)i - 1;
	return -1;
}

/* Create has succeeded, Start is under way. */
static void begin(void)
{
	struct answer created;

	bench_serve(60000);
	created = bench_create();
	cr_assert_eq(created.err.code, ERROR_NONE, "%s", created.err.text);
	bench_ask_start(&started, "");
	bench_settle();
}

static void begin_with_nameserver(void)
{
	int i;

	begin();
	cr_assert_not(started.here, "it waits for the nameserver");
	i = find_stream("resolver:127.0.0.11");
	cr_assert_geq(i, 0);
	control = fake.streams[i].fd;
	cr_assert_eq(write(control, RELAY_READY, 1), 1);
	cr_assert(bench_wait_until(&started.here));
	cr_assert_eq(started.err.code, ERROR_NONE, "%s", started.err.text);
}

static void want(size_t n)
{
	char wants[512];

	memset(wants, *RELAY_WANT, sizeof(wants));
	cr_assert_eq(write(control, wants, n), (ssize_t)n);
	for (int i = 0; i < 10; i++) {
		bench_run_for(0.01);
		bench_settle();
	}
}

Test(resolvers, the_guest_gets_a_connection_when_it_wants_one)
{
	int listener = listen_in(netns, "127.0.0.11", 53);
	int server, i;
	char got[5];

	begin_with_nameserver();
	want(1);
	i = find_stream("answer:127.0.0.11");
	cr_assert_geq(i, 0);
	server = accept(listener, NULL, NULL);
	cr_assert_geq(server, 0);
	cr_assert_eq(write(fake.streams[i].fd, "query", 5), 5);
	cr_assert_eq(read(server, got, 5), 5);
	fake_stream_done((size_t)i);
	cr_expect_eq(read(server, got, 5), 0);
	close(server);
	close(listener);
}

Test(resolvers, the_guest_is_told_when_nobody_listens)
{
	struct pollfd wait = { .events = POLLIN };
	char byte = 0;

	begin_with_nameserver();
	want(1);
	wait.fd = control;
	cr_assert_eq(poll(&wait, 1, 60000), 1);
	cr_assert_eq(read(control, &byte, 1), 1);
	cr_expect_eq(byte, *RELAY_FAILED);
	cr_expect_eq(find_stream("answer:127.0.0.11"), -1);
}

Test(resolvers, a_guest_that_wants_too_much_waits)
{
	int listener = listen_in(netns, "127.0.0.11", 53);
	size_t before;

	begin_with_nameserver();
	before = fake.n_streams;
	want(300); /* there are FAKE_STREAMS_MAX streams, and others fail */
	cr_expect_leq(fake.n_streams, FAKE_STREAMS_MAX);
	cr_expect_gt(fake.n_streams, before);
	close(listener);
}

Test(resolvers, a_guest_that_says_something_else_is_not_listened_to)
{
	int i;

	begin_with_nameserver();
	i = find_stream("resolver:127.0.0.11");
	cr_assert_eq(write(control, "x", 1), 1);
	bench_run_for(0.05);
	cr_expect_eq(fake.streams[i].fd, -1, "the stream has been ended");
	cr_expect_eq(find_stream("answer:127.0.0.11"), -1);
}

/* docker writes it when the container gets a network of the user's. */
Test(resolvers, a_file_that_changes_with_the_network_is_read_again)
{
	begin_with_nameserver();
	sh("echo nameserver 127.0.0.12 > /run/resolv.conf");
	sh("ip -n blue addr add 10.0.0.1/24 dev lo");
	for (int i = 0; i < 500 && find_stream("resolver:127.0.0.12") < 0; i++) {
		bench_settle();
		usleep(10000);
	}
	cr_expect_geq(find_stream("resolver:127.0.0.12"), 0);
}

Test(resolvers, a_start_succeeds_without_its_nameserver)
{
	fake.streams_refuse = true;
	begin();
	cr_assert(bench_wait_until(&started.here));
	cr_expect_eq(started.err.code, ERROR_NONE, "%s", started.err.text);
}

Test(resolvers, a_guest_that_does_not_listen_holds_a_start_up_for_a_while_only)
{
	bench.settings->agent_connect_timeout_ms = 200;
	begin();
	cr_assert_not(started.here);
	cr_assert(bench_wait_until(&started.here));
	cr_expect_eq(started.err.code, ERROR_NONE, "%s", started.err.text);
}

Test(resolvers, a_machine_that_ends_fails_the_start)
{
	begin();
	cr_assert_not(started.here);
	fake_kill_vm("as told");
	cr_assert(bench_wait_until(&started.here));
	cr_expect(strstr(started.err.text, "as told"), "%s", started.err.text);
}

Test(resolvers, other_nameservers_and_other_agents_need_nothing)
{
	sh("echo nameserver 10.0.0.1 > /run/resolv.conf");
	begin();
	cr_assert(bench_wait_until(&started.here));
	cr_expect_eq(find_stream("resolver:127.0.0.11"), -1);
}

Test(resolvers, an_agent_that_does_not_know_it_is_not_asked)
{
	fake.upstream = true;
	begin();
	cr_assert(bench_wait_until(&started.here));
	cr_expect_eq(started.err.code, ERROR_NONE, "%s", started.err.text);
	cr_expect_eq(find_stream("resolver:127.0.0.11"), -1);
}
