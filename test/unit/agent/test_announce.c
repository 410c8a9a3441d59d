/*
 * The announcement to a host that is a Unix socket, with the uevents and the vsock device of the
 * test's own.
 */
#include "agent/guest/announce.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/guest/uevent.h"
#include "agent/guest/vsock_socket.h"
#include "common/error.h"
#include "proto/features.h"
#include "proto/vsock_ports.h"

#define CID      7
#define RETRY_S  0.05  /* announce.c's */
#define TURN_MAX 12000 /* of 5 ms */

static struct ev_loop *loop;
static struct announce *announce;
static struct uevent_subscriber *subscriber;
static bool has_device;
static unsigned int connects;
static unsigned int taken;
static struct sockaddr_un host = { .sun_family = AF_UNIX };

void uevents_subscribe(struct uevents *uevents, struct uevent_subscriber *one)
{
	subscriber = one;
}

void uevents_leave(struct uevent_subscriber *one)
{
	cr_assert_eq(one, subscriber);
	subscriber = NULL;
}

int vsock_socket_cid(uint32_t *out, struct error *err)
{
	*out = CID;
	return has_device ? 0 : error_set(err, ERROR_UNAVAILABLE, "no device");
}

/* As of a vsock, how a connection ends is told later: a socket without a peer cannot be written. */
int vsock_socket_connect(uint32_t port, int *out, struct error *err)
{
	cr_assert_eq(port, VSOCK_PORT_HELLO + CID);
	connects++;
	*out = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)!connect(*out, (struct sockaddr *)&host, sizeof(host));
	return 0;
}

static void on_taken(void *ctx)
{
	taken++;
}

static void setup(void)
{
	loop = ev_default_loop(0);
	/* Of the abstract name space: nothing is left of it. */
	snprintf(host.sun_path + 1, sizeof(host.sun_path) - 1, "test-announce-%d", getpid());
}

static void teardown(void)
{
	announce_destroy(announce);
	cr_expect_null(subscriber);
}

TestSuite(announce, .init = setup, .fini = teardown, .timeout = 120);

static int listen_as_host(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&host, sizeof(host)), 0);
	cr_assert_eq(listen(fd, 4), 0);
	return fd;
}

static void on_tick(struct ev_loop *l, ev_timer *timer, int events)
{
	ev_break(l, EVBREAK_ONE);
}

static void run_for(double seconds)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, seconds, 0);
	ev_timer_start(loop, &tick);
	ev_run(loop, 0);
	ev_timer_stop(loop, &tick);
}

static int accept_soon(int listener)
{
	int fd = -1;

	for (int i = 0; i < TURN_MAX && fd < 0; i++) {
		run_for(0.005);
		fd = accept(listener, NULL, NULL);
	}
	cr_assert_geq(fd, 0, "nobody has connected");
	return fd;
}

/* And the connection stays open. */
static void expect_hello(int fd)
{
	char line[VSOCK_HELLO_MAX + 1], version[32];
	ssize_t n = 0;
	int words = 0;

	for (int i = 0; i < TURN_MAX && n <= 0; i++) {
		run_for(0.005);
		n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
	}
	cr_assert_gt(n, 0);
	line[n] = '\0';
	cr_assert_eq(sscanf(line, "hello %31s%n", version, &words), 1, "%s", line);
	cr_expect_str_eq(version, KATA_VERSION);
	cr_expect_eq(line[n - 1], '\n');
	for (const char *const *word = features_words(); *word; word++)
		cr_expect(strstr(line + words, *word), "no %s in %s", *word, line);
	run_for(0.1);
	cr_expect(recv(fd, line, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

Test(announce, is_said_once_where_there_is_a_device)
{
	int listener = listen_as_host();
	int fd;

	has_device = true;
	announce = announce_create(loop, NULL, on_taken, NULL);
	fd = accept_soon(listener);
	expect_hello(fd);
	subscriber->on_change(subscriber->ctx);
	run_for(0.1);
	cr_expect_eq(connects, 1);
	cr_expect_eq(taken, 1);
	announce_destroy(announce);
	announce = NULL;
	cr_expect_eq(recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT), 0, "its end is the connection's");
	close(fd);
	close(listener);
}

Test(announce, waits_for_the_uevent_of_a_device)
{
	int listener = listen_as_host();
	int fd;

	announce = announce_create(loop, NULL, on_taken, NULL);
	run_for(0.1);
	subscriber->on_change(subscriber->ctx); /* of another device */
	run_for(0.1);
	cr_expect_eq(connects, 0);
	has_device = true;
	subscriber->on_change(subscriber->ctx);
	fd = accept_soon(listener);
	expect_hello(fd);
	close(fd);
	close(listener);
}

Test(announce, is_tried_again_until_the_host_takes_it)
{
	int listener;
	int fd;

	has_device = true;
	announce = announce_create(loop, NULL, on_taken, NULL);
	for (int i = 0; i < TURN_MAX && connects < 3; i++)
		run_for(0.005);
	cr_assert_geq(connects, 3);
	cr_expect_eq(taken, 0, "no host has the hello yet");
	listener = listen_as_host();
	fd = accept_soon(listener);
	expect_hello(fd);
	cr_expect_eq(taken, 1);
	close(fd);
	close(listener);
}

/* Each uevent of a boot, and there are hundreds, would be a connection. */
Test(announce, is_not_tried_more_often_for_uevents)
{
	double began = ev_time();

	has_device = true;
	announce = announce_create(loop, NULL, on_taken, NULL);
	for (int i = 0; i < 100; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		subscriber->on_change(subscriber->ctx);
	}
	cr_expect_leq(connects, 1 + (ev_time() - began) / RETRY_S);
}
