#include "agent/guest/relay.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"
#include "proto/vsock_ports.h"
#include "test/unit/agent/own_cgroup.h"
#include "test/unit/open_descriptors.h"

static struct ev_loop *loop;
static struct relay *relay;
static bool is_stranger; /* who connects */
static struct sockaddr_un name;
static socklen_t name_len;

static int peer(int fd, uint32_t *port, struct error *err)
{
	*port = 1;
	return is_stranger ? error_set(err, ERROR_PERMISSION_DENIED, "not the host") : 0;
}

/* A Unix socket stands in for vsock. */
static void setup(void)
{
	int fd;

	own_cgroup_enter();
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	loop = ev_loop_new(0);
	name.sun_family = AF_UNIX;
	name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	                       snprintf(name.sun_path + 1, 32, "relay.%d", (int)getpid()));
	cr_assert_eq(bind(fd, (struct sockaddr *)&name, name_len), 0);
	cr_assert_eq(listen(fd, 400), 0);
	relay = relay_create(loop, fd, own_cgroup, peer);
}

static void teardown(void)
{
	relay_destroy(relay);
	ev_loop_destroy(loop);
	own_cgroup_leave();
}

TestSuite(relay, .init = setup, .fini = teardown, .timeout = 120);

static int open_stream(const char *line)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&name, name_len), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	cr_assert_eq(write(fd, line, strlen(line)), (ssize_t)strlen(line));
	return fd;
}

/* Listens on a port of localhost that is free. */
static int listen_on(int family, uint16_t *port)
{
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in ipv4 = { .sin_family = AF_INET,
		                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	void *address = family == AF_INET ? (void *)&ipv4 : &ipv6;
	socklen_t len = family == AF_INET ? sizeof(ipv4) : sizeof(ipv6);
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (bind(fd, address, len) < 0)
		cr_skip_test("no IPv6");
	cr_assert_eq(listen(fd, 8), 0);
	getsockname(fd, address, &len);
	*port = ntohs(family == AF_INET ? ipv4.sin_port : ipv6.sin6_port);
	return fd;
}

static int take(int listener)
{
	int fd = -1;

	for (int i = 0; i < 600000 && fd < 0; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		usleep(100);
	}
	cr_assert_geq(fd, 0, "nobody connects");
	return fd;
}

static ssize_t receive(int fd, void *data, size_t len)
{
	for (int i = 0; i < 600000; i++) {
		ssize_t n = read(fd, data, len);

		if (n >= 0 || errno != EAGAIN)
			return n < 0 ? -errno : n;
		ev_run(loop, EVRUN_NOWAIT);
		usleep(100);
	}
	return -ETIMEDOUT;
}

static void expect_service(int family)
{
	uint16_t port;
	int listener = listen_on(family, &port);
	autofree char *line = mem_printf("port:%u\nhello", port);
	int stream = open_stream(line);
	int server = take(listener);
	char got[8];

	cr_assert_eq(receive(server, got, sizeof(got)), 5);
	cr_assert_arr_eq(got, "hello", 5);
	cr_assert_eq(write(server, "world", 5), 5);
	cr_assert_eq(receive(stream, got, sizeof(got)), 5);
	cr_assert_arr_eq(got, "world", 5);
	shutdown(stream, SHUT_WR);
	cr_assert_eq(receive(server, got, sizeof(got)), 0);
	close(server);
	cr_assert_eq(receive(stream, got, sizeof(got)), 0);
	close(stream);
	close(listener);
}

Test(relay, a_stream_reaches_who_listens_on_127_0_0_1)
{
	expect_service(AF_INET);
}

Test(relay, a_stream_reaches_who_listens_on_the_localhost_of_ipv6_alone)
{
	expect_service(AF_INET6);
}

Test(relay, a_port_that_nobody_listens_on_closes_the_stream)
{
	uint16_t port;
	int listener = listen_on(AF_INET, &port);
	autofree char *line = mem_printf("port:%u\n", port);
	char byte;
	int fds, stream;

	close(listener);
	fds = open_descriptors();
	stream = open_stream(line);
	cr_expect_eq(receive(stream, &byte, 1), 0);
	close(stream);
	cr_expect_eq(open_descriptors(), fds);
}

Test(relay, what_is_no_line_of_the_protocol_closes_the_stream)
{
	static const char *const lines[] = {
		"\n",
		"port:\n",
		"port:0\n",
		"port:65536\n",
		"port:-1\n",
		"port: 80\n",
		"port:80 \n",
		"port:99999999999999999999999\n",
		"PORT:80\n",
		"host:80\n",
		"port:000000000000000000000000000080\n",
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	};
	int fds = open_descriptors();
	char byte;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int stream = open_stream(lines[i]);
		ssize_t n = receive(stream, &byte, 1);

		cr_expect(n == 0 || n == -ECONNRESET, "%zu: %zd", i, n);
		close(stream);
	}
	cr_expect_eq(open_descriptors(), fds);
}

Test(relay, a_stream_that_is_not_the_hosts_is_closed)
{
	char byte;
	ssize_t n;
	int stream;

	is_stranger = true;
	stream = open_stream("port:1\n");
	n = receive(stream, &byte, 1);
	cr_expect(n == 0 || n == -ECONNRESET);
	close(stream);
}

Test(relay, streams_too_many_are_closed_and_others_served_after_them)
{
	static int streams[RELAY_CONNECTIONS_MAX];
	char byte;
	int one_more;

	for (int i = 0; i < RELAY_CONNECTIONS_MAX; i++) {
		streams[i] = open_stream("port:");
		ev_run(loop, EVRUN_NOWAIT);
	}
	one_more = open_stream("");
	cr_expect_eq(receive(one_more, &byte, 1), 0);
	close(one_more);
	for (int i = 0; i < RELAY_CONNECTIONS_MAX; i++)
		close(streams[i]);
	ev_run(loop, EVRUN_NOWAIT);
	expect_service(AF_INET);
}

/* A nameserver: the host's end of its stream, once the agent listens. */
static int begin_nameserver(void)
{
	int control = open_stream("resolver:127.0.0.99\n");
	char byte;

	cr_assert_eq(receive(control, &byte, 1), 1);
	cr_assert_eq(byte, *RELAY_READY);
	return control;
}

static int ask(int type)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
		                             .sin_port = htons(53),
		                             .sin_addr.s_addr = htonl(0x7f000063) };
	int fd = socket(AF_INET, type, 0);

	cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* The agent wants a connection: it gets one, whose nameserver's end is returned. */
static int answer_want(int control)
{
	char byte;

	cr_assert_eq(receive(control, &byte, 1), 1);
	cr_assert_eq(byte, *RELAY_WANT);
	return open_stream("answer:127.0.0.99\n");
}

static const char query[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
			    "\x01\x61\x00\x00\x01\x00\x01";
#define QUERY (sizeof(query) - 1)

/* What a nameserver gets by TCP. */
static void expect_query(int server)
{
	char got[2 + QUERY];

	for (size_t n = 0; n < sizeof(got);) {
		ssize_t more = receive(server, got + n, sizeof(got) - n);

		cr_assert_gt(more, 0);
		n += (size_t)more;
	}
	cr_expect_arr_eq(got, "\0\x13", 2);
	cr_expect_arr_eq(got + 2, query, QUERY);
}

static void say_answer(int server, size_t len)
{
	static char answer[2 + 65535];

	memcpy(answer + 2, query, QUERY);
	answer[0] = (char)(len >> 8);
	answer[1] = (char)len;
	answer[4] = (char)0x81;
	for (size_t n = 0; n < 2 + len;) {
		ssize_t more = write(server, answer + n, 2 + len - n);

		n += more > 0 ? (size_t)more : 0;
		ev_run(loop, EVRUN_NOWAIT);
	}
}

Test(relay, a_nameserver_answers_by_udp)
{
	int control = begin_nameserver();
	int client = ask(SOCK_DGRAM);
	char got[1024];
	int server;

	cr_assert_eq(send(client, query, QUERY, 0), (ssize_t)QUERY);
	server = answer_want(control);
	expect_query(server);
	say_answer(server, 300);
	cr_expect_eq(receive(client, got, sizeof(got)), 300);
	cr_expect_arr_eq(got, "\x12\x34\x81", 3);
	cr_expect_eq(receive(server, got, 1), 0, "the connection is closed");
	close(server);
	close(client);
	close(control);
}

Test(relay, an_answer_that_is_too_long_for_a_datagram_is_truncated)
{
	int control = begin_nameserver();
	int client = ask(SOCK_DGRAM);
	char got[1024];
	int server;

	cr_assert_eq(send(client, query, QUERY, 0), (ssize_t)QUERY);
	server = answer_want(control);
	expect_query(server);
	say_answer(server, 60000);
	cr_expect_eq(receive(client, got, sizeof(got)), (ssize_t)QUERY);
	cr_expect_eq(got[2] & 2, 2);
	close(server);
	close(client);
	close(control);
}

Test(relay, a_nameserver_is_connected_to_by_tcp)
{
	int control = begin_nameserver();
	int client = ask(SOCK_STREAM);
	int server = answer_want(control);
	char got[8];

	cr_assert_eq(write(client, "query", 5), 5);
	cr_expect_eq(receive(server, got, sizeof(got)), 5);
	cr_assert_eq(write(server, "answer", 6), 6);
	cr_expect_eq(receive(client, got, sizeof(got)), 6);
	shutdown(server, SHUT_WR);
	cr_expect_eq(receive(client, got, sizeof(got)), 0);
	close(client);
	cr_expect_eq(receive(server, got, sizeof(got)), 0);
	close(server);
	close(control);
}

Test(relay, what_the_host_cannot_connect_fails_at_once)
{
	int control = begin_nameserver();
	int client = ask(SOCK_DGRAM), other;
	char got[1024];

	cr_assert_eq(send(client, query, QUERY, 0), (ssize_t)QUERY);
	cr_assert_eq(receive(control, got, 1), 1);
	cr_assert_eq(write(control, RELAY_FAILED, 1), 1);
	cr_expect_eq(receive(client, got, sizeof(got)), (ssize_t)QUERY);
	cr_expect_arr_eq(got, "\x12\x34\x81\x02", 4);
	other = ask(SOCK_STREAM);
	cr_assert_eq(receive(control, got, 1), 1);
	cr_assert_eq(write(control, RELAY_FAILED, 1), 1);
	cr_expect_eq(receive(other, got, sizeof(got)), 0);
	close(client);
	close(other);
	close(control);
}

Test(relay, a_nameserver_that_ends_is_listened_for_no_more)
{
	int fds = open_descriptors();
	int control = begin_nameserver();
	int client = ask(SOCK_STREAM);
	char byte;

	close(control);
	cr_expect_eq(receive(client, &byte, 1), 0);
	close(client);
	cr_expect_eq(open_descriptors(), fds);
	close(begin_nameserver());
}

Test(relay, nameservers_elsewhere_too_many_or_twice_are_refused)
{
	static const char *const lines[] = { "resolver:10.0.0.1\n", "resolver:127.0.0.99\n",
		                             "resolver:\n",         "resolver:127.0.0.99 \n",
		                             "answer:127.0.0.98\n", "answer:10.0.0.1\n" };
	int control = begin_nameserver();
	char byte;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int stream = open_stream(lines[i]);

		cr_expect_eq(receive(stream, &byte, 1), 0, "%zu", i);
		close(stream);
	}
	close(control);
}

/* A container may ask as often as it likes. */
Test(relay, a_flood_of_queries_is_dropped_and_costs_little)
{
	int control = begin_nameserver();
	int client = ask(SOCK_DGRAM);
	char wants[1024];
	ssize_t n;

	for (int i = 0; i < 500; i++) {
		cr_assert_eq(send(client, query, QUERY, 0), (ssize_t)QUERY);
		ev_run(loop, EVRUN_NOWAIT);
	}
	n = receive(control, wants, sizeof(wants));
	cr_expect_gt(n, 0);
	cr_expect_leq(n, 64);
	for (ssize_t i = 0; i < n; i++)
		cr_assert_eq(write(control, RELAY_FAILED, 1), 1);
	for (ssize_t i = 0; i < n; i++)
		cr_expect_eq(receive(client, wants, sizeof(wants)), (ssize_t)QUERY);
	close(client);
	close(control);
}
