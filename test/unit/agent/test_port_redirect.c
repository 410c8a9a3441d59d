#include "agent/guest/port_redirect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "common/error.h"
#include "test/unit/agent/own_cgroup.h"
#include "test/unit/open_descriptors.h"

/* Of 127.0.0.99, and of 127.0.0.98, which nothing redirects. */
#define ADDRESS 0x7f000063
#define OTHER   0x7f000062
#define PORT    53

static int udp, tcp; /* where the port leads to */
static uint16_t own_port;
static struct port_redirect *redirect;
static int fds;

static struct sockaddr_in address_of(uint32_t address, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		                     .sin_port = htons(port),
		                     .sin_addr.s_addr = htonl(address) };
}

/* The same as an address of IPv6. */
static struct sockaddr_in6 mapped_address_of(uint32_t address, uint16_t port)
{
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	mapped.sin6_addr.s6_addr32[2] = htonl(0xffff);
	mapped.sin6_addr.s6_addr32[3] = htonl(address);
	return mapped;
}

static int listen_at(uint32_t address, uint16_t port, int type)
{
	const struct sockaddr_in name = address_of(address, port);
	int fd = socket(AF_INET, type, 0);

	cr_assert_eq(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0, "%s",
	             strerror(errno));
	cr_assert(type != SOCK_STREAM || listen(fd, 8) == 0);
	return fd;
}

static void setup(void)
{
	struct sockaddr_in from = address_of(ADDRESS, PORT);
	struct sockaddr_in name = { 0 };
	socklen_t size = sizeof(name);
	struct error err = { 0 };

	own_cgroup_enter();
	fds = open_descriptors();
	udp = listen_at(ADDRESS, 0, SOCK_DGRAM);
	getsockname(udp, (struct sockaddr *)&name, &size);
	own_port = ntohs(name.sin_port);
	tcp = listen_at(ADDRESS, own_port, SOCK_STREAM);
	cr_assert_eq(port_redirect_create(own_cgroup, &from, own_port, &redirect, &err), 0, "%s",
	             err.text);
}

static void teardown(void)
{
	port_redirect_destroy(redirect);
	close(udp);
	close(tcp);
	cr_expect_eq(open_descriptors(), fds);
	own_cgroup_leave();
}

TestSuite(port_redirect, .init = setup, .fini = teardown, .timeout = 30);

/* Sends back what it gets. */
static void serve_one(void)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	char byte;

	cr_assert_eq(recvfrom(udp, &byte, 1, 0, (struct sockaddr *)&from, &size), 1);
	byte++;
	cr_assert_eq(sendto(udp, &byte, 1, 0, (const struct sockaddr *)&from, size), 1);
}

static void expect_answer(int client, const void *address, socklen_t address_size)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	char byte = 0;

	serve_one();
	cr_assert_eq(recvfrom(client, &byte, 1, 0, (struct sockaddr *)&from, &size), 1);
	cr_expect_eq(byte, 'b');
	cr_assert_eq(size, address_size);
	cr_expect_arr_eq(&from, address, address_size, "it comes from where it was sent to");
	close(client);
}

static void expect_datagrams(int family, const void *address, socklen_t size)
{
	int client = socket(family, SOCK_DGRAM, 0);

	cr_assert_eq(sendto(client, "a", 1, 0, address, size), 1);
	expect_answer(client, address, size);
	client = socket(family, SOCK_DGRAM, 0);
	cr_assert_eq(connect(client, address, size), 0);
	cr_assert_eq(send(client, "a", 1, 0), 1);
	expect_answer(client, address, size);
}

Test(port_redirect, datagrams_come_from_the_port_that_they_were_sent_to)
{
	const struct sockaddr_in address = address_of(ADDRESS, PORT);

	expect_datagrams(AF_INET, &address, sizeof(address));
}

Test(port_redirect, an_address_of_ipv6_can_mean_it)
{
	const struct sockaddr_in6 address = mapped_address_of(ADDRESS, PORT);
	int client = socket(AF_INET6, SOCK_STREAM, 0);
	int one;

	expect_datagrams(AF_INET6, &address, sizeof(address));
	cr_assert_eq(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
	one = accept(tcp, NULL, NULL);
	cr_assert_geq(one, 0);
	close(one);
	close(client);
}

Test(port_redirect, connections_reach_it_beside_a_server_of_all_addresses)
{
	const struct sockaddr_in address = address_of(ADDRESS, PORT);
	const struct sockaddr_in other = address_of(OTHER, PORT);
	int everywhere = listen_at(INADDR_ANY, PORT, SOCK_STREAM);
	int datagrams = listen_at(INADDR_ANY, PORT, SOCK_DGRAM);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	int second = socket(AF_INET, SOCK_STREAM, 0);
	int one, two;

	cr_assert_eq(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
	one = accept(tcp, NULL, NULL);
	cr_assert_geq(one, 0);
	cr_assert_eq(connect(second, (const struct sockaddr *)&other, sizeof(other)), 0);
	two = accept(everywhere, NULL, NULL);
	cr_assert_geq(two, 0);
	close(one);
	close(two);
	close(client);
	close(second);
	close(everywhere);
	close(datagrams);
}

Test(port_redirect, it_ends_when_it_is_destroyed)
{
	const struct sockaddr_in address = address_of(ADDRESS, PORT);
	int client = socket(AF_INET, SOCK_STREAM, 0);

	port_redirect_destroy(take_ptr(&redirect));
	cr_assert_lt(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(errno, ECONNREFUSED);
	close(client);
}

Test(port_redirect, a_cgroup_that_is_none_is_an_error)
{
	const struct sockaddr_in from = address_of(OTHER, PORT);
	struct port_redirect *none = NULL;
	struct error err = { 0 };

	cr_assert_lt(port_redirect_create("/nowhere", &from, own_port, &none, &err), 0);
	cr_expect_str_eq(err.text, "cannot open \"/nowhere\": No such file or directory");
	cr_assert_lt(port_redirect_create("/", &from, own_port, &none, &err), 0);
	cr_expect_null(none);
}
