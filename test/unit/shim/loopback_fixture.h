/*
 * TCP in another network namespace, on its loopback.
 */
#ifndef TEST_UNIT_SHIM_LOOPBACK_FIXTURE_H
#define TEST_UNIT_SHIM_LOOPBACK_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "test/unit/shim/network_fixture.h"

#define REFUSED (-ECONNREFUSED)

/* bpf(2) is for the host's root. */
static inline void skip_without_bpf(void)
{
	if (geteuid())
		cr_skip_test("not root");
}

struct tcp_address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t size;
};

static inline struct tcp_address tcp_address(const char *host, uint16_t port)
{
	struct tcp_address address = { .size = sizeof(struct sockaddr_in) };

	if (inet_pton(AF_INET, host, &address.in.sin_addr) == 1) {
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons(port);
		return address;
	}
	address.size = sizeof(struct sockaddr_in6);
	address.in6.sin6_family = AF_INET6;
	address.in6.sin6_port = htons(port);
	cr_assert_eq(inet_pton(AF_INET6, host, &address.in6.sin6_addr), 1);
	return address;
}

struct tcp_target {
	const char *host;
	uint16_t port;
	int fd;
};

static inline int connect_inside(void *ctx, struct error *err)
{
	struct tcp_target *target = ctx;
	struct tcp_address address = tcp_address(target->host, target->port);

	target->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(target->fd, &address.any, address.size) < 0) {
		int cause = errno;

		close(target->fd);
		target->fd = -cause;
	}
	return 0;
}

/* A connection from within the namespace, or a negative errno. */
static inline int connect_in(const struct netns *netns, const char *host, uint16_t port)
{
	struct tcp_target target = { .host = host, .port = port };

	cr_assert_eq(netns_call(netns, connect_inside, &target, NULL), 0);
	return target.fd;
}

static inline int listen_inside(void *ctx, struct error *err)
{
	struct tcp_target *target = ctx;
	struct tcp_address address = tcp_address(target->host, target->port);

	target->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(target->fd, &address.any, address.size), 0);
	return listen(target->fd, 8);
}

static inline int listen_in(const struct netns *netns, const char *host, uint16_t port)
{
	struct tcp_target target = { .host = host, .port = port };

	cr_assert_eq(netns_call(netns, listen_inside, &target, NULL), 0);
	return target.fd;
}

#endif
