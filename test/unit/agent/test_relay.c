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
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	loop = ev_loop_new(0);
	name.sun_family = AF_UNIX;
	name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	                       snprintf(name.sun_path + 1, 32, "relay.%d", (int)getpid()));
	cr_assert_eq(bind(fd, (struct sockaddr *)&name, name_len), 0);
	cr_assert_eq(listen(fd, 400), 0);
	relay = relay_create(loop, fd, peer);
}

static void teardown(void)
{
	relay_destroy(relay);
	ev_loop_destroy(loop);
}

TestSuite(relay, .init = setup, .fini = teardown, .timeout = 60);

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

	for (int i = 0; i < 5000 && fd < 0; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		usleep(100);
	}
	cr_assert_geq(fd, 0, "nobody connects");
	return fd;
}

static ssize_t receive(int fd, void *data, size_t len)
{
	for (int i = 0; i < 5000; i++) {
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
