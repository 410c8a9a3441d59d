/*
 * Streams through the device whose host end is a socket, served both ways.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device_bench.h"

TestSuite(device_socket, .init = set_up, .fini = tear_down);

/* A TCP connection over loopback: [0] is the peer's end, [1] what is handed over. */
static void connect_tcp(int ends[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&address, &len);
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(ends[0], (struct sockaddr *)&address, len), 0);
	ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(ends[1], 0);
	close(listener);
}

static struct vsock_stream *begin_duplex(int fd)
{
	struct vsock_stream *stream;

	cr_assert_eq(vsock_stream_open_duplex(host.vsock, PORT, "port:80", fd, TIMEOUT_MS, on_open,
	                                      on_done, NULL, &stream, NULL),
	             0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
	return stream;
}

/* Returns the peer's end; the guest has had the greeting. */
static int open_duplex(struct vsock_stream **stream)
{
	int ends[2];

	guest_give(&guest, 8);
	connect_tcp(ends);
	*stream = begin_duplex(ends[1]);
	reply(VIRTIO_VSOCK_OP_RESPONSE, 0, NULL, 0);
	fake_host_wait(&host, &heard.opened);
	cr_assert_eq(heard.err.code, ERROR_NONE, "%s", heard.err.text);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	cr_assert_eq(packet.header.len, 8);
	cr_assert_arr_eq(packet.data, "port:80\n", 8);
	return ends[0];
}

static void expect_reset(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char byte;

	cr_assert_eq(poll(&wait, 1, TIMEOUT_MS), 1);
	cr_assert_eq(read(fd, &byte, 1), -1);
	cr_assert_eq(errno, ECONNRESET);
}

Test(device_socket, a_socket_is_served_both_ways_with_its_half_closes)
{
	struct vsock_stream *stream;
	int peer = open_duplex(&stream);
	char got[5];

	cr_assert_eq(write(peer, "hello", 5), 5);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	cr_assert_arr_eq(packet.data, "hello", 5);
	shutdown(peer, SHUT_WR);
	guest_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN, &packet);
	cr_assert_eq(packet.header.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	reply(VIRTIO_VSOCK_OP_RW, 0, "world", 5);
	read_exactly(peer, got, 5);
	cr_assert_arr_eq(got, "world", 5);
	reply(VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND, NULL, 0);
	expect_end(peer);
	fake_host_wait(&host, &heard.done);
	cr_assert_eq(heard.err.code, ERROR_NONE, "%s", heard.err.text);
	vsock_stream_destroy(stream);
}

Test(device_socket, the_guests_half_close_leaves_the_other_direction_of_a_socket)
{
	struct vsock_stream *stream;
	int peer = open_duplex(&stream);

	reply(VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND, NULL, 0);
	expect_end(peer);
	cr_assert_eq(write(peer, "still", 5), 5);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	close(peer);
	guest_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN, &packet);
	fake_host_wait(&host, &heard.done);
	cr_assert_eq(heard.err.code, ERROR_NONE, "%s", heard.err.text);
	vsock_stream_destroy(stream);
}

Test(device_socket, a_guest_that_resets_or_closes_at_once_resets_the_socket)
{
	static const struct {
		enum virtio_vsock_op op;
		uint32_t flags;
	} ends[] = { { VIRTIO_VSOCK_OP_RST, 0 }, { VIRTIO_VSOCK_OP_SHUTDOWN, BOTH } };
	struct vsock_stream *stream;

	for (int i = 0; i < 2; i++) {
		int peer = open_duplex(&stream);

		heard = (struct heard){ 0 };
		reply(ends[i].op, ends[i].flags, NULL, 0);
		expect_reset(peer);
		fake_host_wait(&host, &heard.done);
		cr_assert_eq(heard.err.code, ERROR_UNAVAILABLE);
		vsock_stream_destroy(stream);
		close(peer);
		while (guest_poll(&guest, &packet))
			;
	}
}

/* As who finds nobody at the other end of a connection that is half closed already. */
Test(device_socket, a_guest_that_closes_without_an_end_of_its_own_resets_a_half_closed_socket)
{
	struct vsock_stream *stream;
	int peer = open_duplex(&stream);

	shutdown(peer, SHUT_WR);
	guest_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN, &packet);
	reply(VIRTIO_VSOCK_OP_SHUTDOWN, BOTH, NULL, 0);
	expect_reset(peer);
	fake_host_wait(&host, &heard.done);
	cr_assert_eq(heard.err.code, ERROR_UNAVAILABLE);
	vsock_stream_destroy(stream);
}

Test(device_socket, a_reset_of_the_socket_is_one_for_the_guest)
{
	const struct linger at_once = { .l_onoff = 1 };
	struct vsock_stream *stream;
	int peer = open_duplex(&stream);

	setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(peer);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	fake_host_wait(&host, &heard.done);
	cr_assert_eq(heard.err.code, ERROR_UNAVAILABLE);
	vsock_stream_destroy(stream);
}

Test(device_socket, a_socket_that_the_guest_refuses_is_reset)
{
	struct vsock_stream *stream;
	int ends[2];

	guest_give(&guest, 8);
	connect_tcp(ends);
	stream = begin_duplex(ends[1]);
	reply(VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
	expect_reset(ends[0]);
	fake_host_wait(&host, &heard.opened);
	cr_assert_eq(heard.err.code, ERROR_UNAVAILABLE);
	vsock_stream_destroy(stream);
}
