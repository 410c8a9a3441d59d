/*
 * The real device between hypervisor/vsock.h and a fake guest.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "fake_guest.h"
#include "fake_host.h"
#include "hypervisor/vsock.h"

#define PORT       1024
#define WINDOW     (1UL << 20) /* the credit that the device gives to one stream */
#define BOTH       (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define TIMEOUT_MS 60000

static struct fake_host host;
static struct guest guest;
static struct guest_packet packet;

/* What the callbacks were told. */
static struct heard {
	int connected; /* calls */
	int fd;
	int opened;
	uint32_t host_port;
	int done;
	int moved;
	struct error err;
} heard;

static void set_up(void)
{
	fake_host_start(&host);
	guest_start(&guest, host.vmm);
}

static void tear_down(void)
{
	fake_host_stop(&host);
	guest_stop(&guest);
}

TestSuite(device, .init = set_up, .fini = tear_down);

static void on_connected(void *ctx, int fd, const struct error *err)
{
	heard.connected++;
	heard.fd = fd;
	error_copy(&heard.err, err);
}

static void on_accepted(void *ctx, int fd)
{
	heard.connected++;
	heard.fd = fd;
}

static void on_open(void *ctx, uint32_t host_port, const struct error *err)
{
	heard.opened++;
	heard.host_port = host_port;
	error_copy(&heard.err, err);
}

static void on_done(void *ctx, const struct error *err)
{
	heard.done++;
	error_copy(&heard.err, err);
}

static void on_moved(void *ctx, const struct error *err)
{
	heard.moved++;
}

static void reply(enum virtio_vsock_op op, uint32_t flags, const void *data, uint32_t len)
{
	guest_send(&guest, packet.header.dst_port, packet.header.src_port, op, flags, data, len);
}

/* The host connects, the guest takes it: returns the host's socket. */
static int establish(void)
{
	cr_assert_eq(vsock_connect(host.vsock, PORT, TIMEOUT_MS, on_connected, NULL, NULL), 0);
	guest_expect_after_credit(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
	cr_assert_eq(packet.header.dst_port, PORT);
	reply(VIRTIO_VSOCK_OP_RESPONSE, 0, NULL, 0);
	fake_host_wait(&host, &heard.connected);
	cr_assert_eq(heard.err.code, ERROR_NONE, "%s", heard.err.text);
	fcntl(heard.fd, F_SETFL, 0);
	return heard.fd;
}

/* A stream whose host end is @fd, taken by the guest. */
static struct vsock_stream *open_stream(enum vsock_direction direction, int fd)
{
	struct vsock_stream *stream;

	cr_assert_eq(vsock_stream_open(host.vsock, PORT, direction, fd, TIMEOUT_MS, on_open,
	                               on_done, NULL, &stream, NULL),
	             0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
	reply(VIRTIO_VSOCK_OP_RESPONSE, 0, NULL, 0);
	fake_host_wait(&host, &heard.opened);
	cr_assert_eq(heard.err.code, ERROR_NONE, "%s", heard.err.text);
	cr_assert_eq(heard.host_port, packet.header.src_port);
	return stream;
}

static int make_fifo(void)
{
	autofree char *path = mem_printf("%s/fifo", host.dir);
	int fd;

	cr_assert_eq(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	unlink(path);
	return fd;
}

static void read_exactly(int fd, char *to, size_t len)
{
	size_t at = 0;

	while (at < len) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		ssize_t n;

		cr_assert_eq(poll(&wait, 1, TIMEOUT_MS), 1);
		n = read(fd, to + at, len - at);
		cr_assert_gt(n, 0);
		at += n;
	}
}

static void expect_end(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char byte;

	cr_assert_eq(poll(&wait, 1, TIMEOUT_MS), 1);
	cr_assert_eq(read(fd, &byte, 1), 0);
}

Test(device, bytes_go_both_ways)
{
	char got[5];
	int fd;

	guest_give(&guest, 8);
	fd = establish();
	cr_assert_eq(write(fd, "hello", 5), 5);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	cr_assert_eq(packet.header.len, 5);
	cr_assert_arr_eq(packet.data, "hello", 5);
	reply(VIRTIO_VSOCK_OP_RW, 0, "world", 5);
	read_exactly(fd, got, 5);
	cr_assert_arr_eq(got, "world", 5);
}

Test(device, a_refused_connection_is_an_error)
{
	guest_give(&guest, 8);
	cr_assert_eq(vsock_connect(host.vsock, PORT, TIMEOUT_MS, on_connected, NULL, NULL), 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
	reply(VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
	fake_host_wait(&host, &heard.connected);
	cr_assert_eq(heard.fd, -1);
	cr_assert_eq(heard.err.code, ERROR_UNAVAILABLE);
}

Test(device, a_guest_that_does_not_answer_runs_into_the_deadline_and_is_told)
{
	guest_give(&guest, 8);
	cr_assert_eq(vsock_connect(host.vsock, PORT, 500, on_connected, NULL, NULL), 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
	fake_host_wait(&host, &heard.connected);
	cr_assert_eq(heard.err.code, ERROR_DEADLINE_EXCEEDED);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
}

Test(device, a_connect_waits_for_receive_buffers)
{
	cr_assert_eq(vsock_connect(host.vsock, PORT, TIMEOUT_MS, on_connected, NULL, NULL), 0);
	guest_expect_silence(&guest);
	guest_give(&guest, 1);
	guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
}

Test(device, a_guest_may_connect_before_it_has_given_receive_buffers)
{
	cr_assert_eq(vsock_listen(host.vsock, 77, on_accepted, NULL, NULL), 0);
	guest_send(&guest, 5000, 77, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
	guest_expect_silence(&guest);
	guest_give(&guest, 1);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE, &packet);
	cr_assert_eq(packet.header.src_port, 77);
	cr_assert_eq(packet.header.dst_port, 5000);
}

Test(device, a_guest_reaches_who_listens)
{
	char got[3];

	guest_give(&guest, 8);
	cr_assert_eq(vsock_listen(host.vsock, 77, on_accepted, NULL, NULL), 0);
	guest_send(&guest, 5000, 77, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE, &packet);
	fake_host_wait(&host, &heard.connected);
	reply(VIRTIO_VSOCK_OP_RW, 0, "abc", 3);
	read_exactly(heard.fd, got, 3);
	close(heard.fd);
	guest_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN, &packet);
	cr_assert_eq(packet.header.flags, BOTH);
}

static void stop_looping(struct ev_loop *loop, ev_timer *timer, int events)
{
	ev_break(loop, EVBREAK_ALL);
}

/* Rounds of the loop in a second. */
static unsigned int rounds(void)
{
	unsigned int before = ev_iteration(host.loop);
	ev_timer end;

	ev_timer_init(&end, stop_looping, 1, 0);
	ev_timer_start(host.loop, &end);
	ev_run(host.loop, 0);
	return ev_iteration(host.loop) - before;
}

Test(device, a_guest_waits_while_there_are_no_descriptors)
{
	struct rlimit was, none;
	unsigned int n;

	guest_give(&guest, 8);
	cr_assert_eq(vsock_listen(host.vsock, 77, on_accepted, NULL, NULL), 0);
	guest_send(&guest, 5000, 77, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RESPONSE, &packet);
	getrlimit(RLIMIT_NOFILE, &was);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = was.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	n = rounds();
	setrlimit(RLIMIT_NOFILE, &was);
	cr_expect_lt(n, 100, "the loop spins");
	cr_expect_not(heard.connected);
	fake_host_wait(&host, &heard.connected);
}

Test(device, a_guest_does_not_reach_who_listens_no_more)
{
	guest_give(&guest, 8);
	cr_assert_eq(vsock_listen(host.vsock, 77, on_accepted, NULL, NULL), 0);
	vsock_unlisten(host.vsock, 77);
	guest_send(&guest, 5000, 77, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	cr_assert_eq(packet.header.dst_port, 5000);
}

Test(device, a_guest_that_connects_to_nobody_is_reset)
{
	guest_give(&guest, 8);
	guest_send(&guest, 5000, 78, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	cr_assert_eq(packet.header.dst_port, 5000);
}

Test(device, the_guests_half_close_leaves_the_other_direction)
{
	int fd;

	guest_give(&guest, 8);
	fd = establish();
	reply(VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND, NULL, 0);
	expect_end(fd);
	cr_assert_eq(write(fd, "still", 5), 5);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	close(fd);
	guest_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN, &packet);
	cr_assert_eq(packet.header.flags, BOTH);
}

Test(device, the_hosts_half_close_leaves_the_other_direction)
{
	char got[5];
	int fd;

	guest_give(&guest, 8);
	fd = establish();
	cr_assert_eq(write(fd, "last", 4), 4);
	shutdown(fd, SHUT_WR);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	guest_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN, &packet);
	cr_assert_eq(packet.header.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	reply(VIRTIO_VSOCK_OP_RW, 0, "still", 5);
	read_exactly(fd, got, 5);
	reply(VIRTIO_VSOCK_OP_SHUTDOWN, BOTH, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	expect_end(fd);
}

Test(device, a_host_that_closes_after_its_half_close_ends_the_stream)
{
	int fd;

	guest_give(&guest, 8);
	fd = establish();
	shutdown(fd, SHUT_WR);
	guest_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN, &packet);
	close(fd);
	guest_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN, &packet);
	cr_assert_eq(packet.header.flags, BOTH);
}

Test(device, a_reset_closes_the_hosts_end_after_its_bytes)
{
	char got[3];
	int fd;

	guest_give(&guest, 8);
	fd = establish();
	reply(VIRTIO_VSOCK_OP_RW, 0, "abc", 3);
	reply(VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
	read_exactly(fd, got, 3);
	expect_end(fd);
}

Test(device, packets_of_an_unknown_stream_are_reset_but_resets_are_not)
{
	guest_give(&guest, 8);
	guest_send(&guest, 5, 6, VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
	guest_send(&guest, 5, 6, VIRTIO_VSOCK_OP_RW, 0, "x", 1);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	guest_expect_silence(&guest);
}

Test(device, sends_no_more_than_the_guest_has_room_for)
{
	struct virtio_vsock_hdr header;
	char bytes[10] = "0123456789";
	int fd;

	guest_give(&guest, 8);
	cr_assert_eq(vsock_connect(host.vsock, PORT, TIMEOUT_MS, on_connected, NULL, NULL), 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
	header = guest_header(PORT, packet.header.src_port, VIRTIO_VSOCK_OP_RESPONSE);
	header.buf_alloc = 4;
	guest_send_header(&guest, &header, NULL, 0);
	fake_host_wait(&host, &heard.connected);
	fd = heard.fd;
	cr_assert_eq(write(fd, bytes, 10), 10);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	cr_assert_eq(packet.header.len, 4);
	guest_expect_silence(&guest);
	header.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	header.fwd_cnt = 3;
	guest_send_header(&guest, &header, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	cr_assert_eq(packet.header.len, 3);
	cr_assert_arr_eq(packet.data, "456", 3);
}

Test(device, one_read_fills_many_receive_buffers)
{
	static char bytes[3 * GUEST_BUFFER + 100];
	size_t at = 0;
	int fd;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i % 251);
	guest_give(&guest, 8);
	fd = establish();
	cr_assert_eq(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
	while (at < sizeof(bytes)) {
		guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
		cr_assert_arr_eq(packet.data, bytes + at, packet.header.len);
		at += packet.header.len;
	}
}

/* Sends @total bytes, as far as the credit goes; returns those that went. */
static size_t flood(size_t total)
{
	static char bytes[GUEST_PACKET_MAX];
	size_t sent = 0;

	memset(bytes, 'x', sizeof(bytes));
	for (; sent < total; sent += sizeof(bytes))
		reply(VIRTIO_VSOCK_OP_RW, 0, bytes, sizeof(bytes));
	return sent;
}

Test(device, a_reader_that_is_slow_holds_its_own_stream_only)
{
	static char got[WINDOW];
	struct guest_packet slow;
	char byte;
	int fd, other;

	guest_give(&guest, 8);
	fd = establish();
	slow = packet;
	flood(WINDOW);
	heard.connected = 0;
	other = establish();
	reply(VIRTIO_VSOCK_OP_RW, 0, "!", 1);
	read_exactly(other, &byte, 1);
	read_exactly(fd, got, sizeof(got));
	packet = slow;
	flood(WINDOW); /* there is room again */
	read_exactly(fd, got, sizeof(got));
}

Test(device, a_guest_that_sends_beyond_its_credit_is_reset)
{
	guest_give(&guest, 8);
	establish();
	flood(4UL * WINDOW); /* a part of it fits into the socket, and is credit again */
	guest_expect_after_credit(&guest, VIRTIO_VSOCK_OP_RST, &packet);
}

Test(device, a_fifo_gets_the_guests_bytes_and_the_end)
{
	int fifo = make_fifo();
	int reader = dup(fifo);
	struct vsock_stream *stream;
	char got[6];

	guest_give(&guest, 8);
	stream = open_stream(VSOCK_WRITE, fifo);
	reply(VIRTIO_VSOCK_OP_RW, 0, "output", 6);
	read_exactly(reader, got, 6);
	reply(VIRTIO_VSOCK_OP_SHUTDOWN, BOTH, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	fake_host_wait(&host, &heard.done);
	cr_assert_eq(heard.err.code, ERROR_NONE, "%s", heard.err.text);
	vsock_stream_destroy(stream);
}

Test(device, done_is_said_only_when_a_slow_reader_has_room_for_all)
{
	static char got[WINDOW];
	const struct vsock_progress *progress;
	int ends[2];
	struct vsock_stream *stream;

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	stream = open_stream(VSOCK_WRITE, ends[1]);
	flood(WINDOW); /* more than the pipe holds */
	reply(VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND, NULL, 0);
	guest_expect_after_credit(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	cr_assert_eq(vsock_stream_moved(stream, on_moved, NULL, NULL), 0);
	fake_host_wait(&host, &heard.moved);
	cr_assert_eq(heard.done, 0);
	progress = vsock_stream_progress(stream);
	cr_assert_gt(progress->moved, 0);
	cr_assert_lt(progress->moved, WINDOW);
	cr_assert_eq(progress->moved + progress->kept, WINDOW);
	read_exactly(ends[0], got, sizeof(got));
	expect_end(ends[0]);
	fake_host_wait(&host, &heard.done);
	cr_assert_eq(heard.err.code, ERROR_NONE, "%s", heard.err.text);
	cr_assert_eq(progress->moved, WINDOW);
	cr_assert_eq(progress->kept, 0);
	vsock_stream_destroy(stream);
}

Test(device, a_descriptor_may_come_later)
{
	int ends[2];
	struct vsock_stream *stream;
	char got[5];

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	stream = open_stream(VSOCK_WRITE, -1);
	reply(VIRTIO_VSOCK_OP_RW, 0, "early", 5);
	reply(VIRTIO_VSOCK_OP_SHUTDOWN, BOTH, NULL, 0);
	cr_assert_eq(vsock_stream_attach(stream, ends[1], NULL), 0);
	read_exactly(ends[0], got, 5);
	expect_end(ends[0]);
	fake_host_wait(&host, &heard.done);
	cr_assert_eq(heard.err.code, ERROR_NONE, "%s", heard.err.text);
	vsock_stream_destroy(stream);
}

Test(device, stdin_is_read_from_a_fifo_until_its_end)
{
	int ends[2];
	struct vsock_stream *stream;

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	stream = open_stream(VSOCK_READ, -1);
	cr_assert_eq(write(ends[1], "input", 5), 5);
	cr_assert_eq(vsock_stream_attach(stream, ends[0], NULL), 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	cr_assert_arr_eq(packet.data, "input", 5);
	guest_expect_silence(&guest);
	close(ends[1]);
	guest_expect(&guest, VIRTIO_VSOCK_OP_SHUTDOWN, &packet);
	fake_host_wait(&host, &heard.done);
	cr_assert_eq(heard.err.code, ERROR_NONE, "%s", heard.err.text);
	vsock_stream_destroy(stream);
}

Test(device, a_guest_that_closes_stdin_early_is_reported)
{
	int ends[2];
	struct vsock_stream *stream;

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	stream = open_stream(VSOCK_READ, ends[0]);
	reply(VIRTIO_VSOCK_OP_SHUTDOWN, BOTH, NULL, 0);
	fake_host_wait(&host, &heard.done);
	cr_assert_neq(heard.err.code, ERROR_NONE);
	vsock_stream_destroy(stream);
}

Test(device, a_reset_of_output_is_reported_after_its_bytes)
{
	int ends[2];
	struct vsock_stream *stream;
	char got[3];

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	stream = open_stream(VSOCK_WRITE, ends[1]);
	reply(VIRTIO_VSOCK_OP_RW, 0, "abc", 3);
	reply(VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
	read_exactly(ends[0], got, 3);
	expect_end(ends[0]);
	fake_host_wait(&host, &heard.done);
	cr_assert_neq(heard.err.code, ERROR_NONE);
	vsock_stream_destroy(stream);
}

Test(device, a_stream_that_is_destroyed_is_reset_and_its_descriptor_closed)
{
	int ends[2];

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	vsock_stream_destroy(open_stream(VSOCK_WRITE, ends[1]));
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	expect_end(ends[0]);
}

Test(device, output_whose_reader_has_gone_is_reported_and_reset)
{
	int ends[2];
	struct vsock_stream *stream;

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	stream = open_stream(VSOCK_WRITE, ends[1]);
	close(ends[0]);
	reply(VIRTIO_VSOCK_OP_RW, 0, "abc", 3);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	fake_host_wait(&host, &heard.done);
	cr_assert_not_null(strstr(heard.err.text, "Broken pipe"), "%s", heard.err.text);
	vsock_stream_destroy(stream);
}

Test(device, a_regular_file_is_refused)
{
	autofree char *path = mem_printf("%s/file", host.dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct vsock_stream *stream;

	unlink(path);
	cr_assert_eq(vsock_stream_open(host.vsock, PORT, VSOCK_WRITE, fd, TIMEOUT_MS, on_open,
	                               on_done, NULL, &stream, NULL),
	             0);
	fake_host_wait(&host, &heard.opened);
	cr_assert_neq(heard.err.code, ERROR_NONE);
	vsock_stream_destroy(stream);
}

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

Test(device, a_socket_is_served_both_ways_with_its_half_closes)
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

Test(device, the_guests_half_close_leaves_the_other_direction_of_a_socket)
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

Test(device, a_guest_that_resets_or_closes_at_once_resets_the_socket)
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
Test(device, a_guest_that_closes_without_an_end_of_its_own_resets_a_half_closed_socket)
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

Test(device, a_reset_of_the_socket_is_one_for_the_guest)
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

Test(device, a_socket_that_the_guest_refuses_is_reset)
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

Test(device, a_stream_that_the_guest_refuses_is_an_error)
{
	int ends[2];
	struct vsock_stream *stream;

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(vsock_stream_open(host.vsock, PORT, VSOCK_WRITE, ends[1], TIMEOUT_MS, on_open,
	                               on_done, NULL, &stream, NULL),
	             0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
	reply(VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
	fake_host_wait(&host, &heard.opened);
	cr_assert_not_null(strstr(heard.err.text, "refused"), "%s", heard.err.text);
	vsock_stream_destroy(stream);
	expect_end(ends[0]);
}

Test(device, streams_live_on_when_memory_is_shared_anew_and_the_machine_was_paused)
{
	char got[3];
	int fd;

	guest_give(&guest, 8);
	fd = establish();
	guest_share_memory(&guest);
	reply(VIRTIO_VSOCK_OP_RW, 0, "abc", 3);
	read_exactly(fd, got, 3);
	guest_restart(&guest, -1);
	reply(VIRTIO_VSOCK_OP_RW, 0, "def", 3);
	read_exactly(fd, got, 3);
	cr_assert_arr_eq(got, "def", 3);
}

Test(device, a_new_driver_knows_no_stream_of_before)
{
	int fd;

	guest_give(&guest, 8);
	fd = establish();
	guest_restart(&guest, 0);
	expect_end(fd);
	guest_give(&guest, 8);
	heard.connected = 0;
	establish();
}

Test(device, streams_end_when_the_vmm_has_gone_and_their_bytes_do_not_get_lost)
{
	static char got[WINDOW];
	int ends[2];
	struct vsock_stream *stream;

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	stream = open_stream(VSOCK_WRITE, ends[1]);
	flood(WINDOW);
	shutdown(guest.vmm, SHUT_RDWR);
	read_exactly(ends[0], got, sizeof(got));
	expect_end(ends[0]);
	fake_host_wait(&host, &heard.done);
	cr_assert_not_null(strstr(heard.err.text, "has gone"), "%s", heard.err.text);
	vsock_stream_destroy(stream);
	cr_assert_eq(vsock_connect(host.vsock, PORT, TIMEOUT_MS, on_connected, NULL, NULL), 0);
	fake_host_wait(&host, &heard.connected);
	cr_assert_eq(heard.fd, -1);
}

Test(device, its_death_is_told_and_ends_all)
{
	int ends[2];
	struct vsock_stream *stream;

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	stream = open_stream(VSOCK_WRITE, ends[1]);
	kill(vsock_pid(host.vsock), SIGKILL);
	fake_host_wait(&host, &heard.done);
	cr_assert_neq(heard.err.code, ERROR_NONE);
	vsock_stream_destroy(stream);
	fake_host_wait(&host, &host.lost_calls);
	cr_assert_not_null(strstr(host.lost.text, "signal 9"), "%s", host.lost.text);
	expect_end(ends[0]);
}

Test(device_words, the_first_line_is_the_cause_and_the_others_are_in_the_log)
{
	static const char script[] = "#!/bin/sh\nprintf '%s\\n' ====== 'ERROR: bad' '' ' #0 in f' "
				     "' #1 in g' >&2\nexit 7\n";
	static const char *const logged[] = { "msg=\"vsock device: ' #0 in f'\"\n",
		                              "msg=\"vsock device: ' #1 in g'\"\n" };
	char path[] = "/tmp/kata-device.XXXXXX", log[4096];
	int fd = mkstemp(path), ends[2];
	const char *at = log;
	ssize_t n;

	cr_assert_eq(write(fd, script, sizeof(script) - 1), (ssize_t)sizeof(script) - 1);
	cr_assert_eq(fchmod(fd, 0700), 0);
	close(fd);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	log_open(ends[1]);
	fake_host_start_with(&host, path);
	fake_host_wait(&host, &host.lost_calls);
	log_open(-1);
	n = read(ends[0], log, sizeof(log) - 1);
	cr_assert_gt(n, 0, "nothing was logged");
	log[n] = '\0';
	cr_expect_str_eq(host.lost.text, "the vsock device exited with status 7: ERROR: bad");
	for (size_t i = 0; i < 2; i++) {
		at = strstr(at, logged[i]);
		cr_assert_not_null(at, "no %s in\n%s", logged[i], log);
	}
	cr_expect_null(strstr(log, "ERROR"), "%s", log);
	close(ends[0]);
	close(host.vmm);
	fake_host_stop(&host);
	unlink(path);
}

Test(device, one_that_answers_nothing_is_killed_and_lost_after_a_deadline)
{
	cr_assert_eq(kill(vsock_pid(host.vsock), SIGSTOP), 0);
	cr_assert_eq(vsock_connect(host.vsock, PORT, 100, on_connected, NULL, NULL), 0);
	fake_host_wait(&host, &heard.connected);
	cr_assert_eq(heard.err.code, ERROR_DEADLINE_EXCEEDED);
	fake_host_wait(&host, &host.lost_calls);
	cr_assert_str_eq(host.lost.text, "the vsock device has not answered within 100 ms");
}

Test(device, a_ping_is_answered_though_the_guest_is_silent)
{
	char answer[8];
	int fd = fake_host_dial(&host);

	cr_assert_eq(write(fd, "PING\n", 5), 5);
	cr_assert_eq(read(fd, answer, sizeof(answer)), 5);
	cr_assert_arr_eq(answer, "OK 0\n", 5);
	cr_assert_eq(read(fd, answer, sizeof(answer)), 0);
	close(fd);
}

Test(device, a_plain_line_works_as_firecrackers)
{
	char got[64] = { 0 };
	int fd = fake_host_dial(&host);

	guest_give(&guest, 8);
	cr_assert_eq(write(fd, "CONNECT 1024\nearly", 18), 18);
	guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
	reply(VIRTIO_VSOCK_OP_RESPONSE, 0, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RW, &packet);
	cr_assert_arr_eq(packet.data, "early", 5);
	cr_assert_gt(read(fd, got, sizeof(got) - 1), 0);
	cr_assert_eq(strncmp(got, "OK ", 3), 0);
	cr_assert_eq(strtoul(got + 3, NULL, 10), packet.header.src_port);
	close(fd);
}

Test(device, lines_that_are_none_close_the_connection)
{
	static const char *const lines[] = {
		"HELLO\n",
		"CONNECT\n",
		"CONNECT x\n",
		"CONNECT -1\n",
		"CONNECT 4294967296\n",
		"CONNECT 1 BOTH\n",
		"CONNECT 1 READ\n", /* its descriptor is missing */
		"CONNECT 1 READ NOW\n",
		"CONNECT 1 READ LATER x\n",
		"CONNECT 1 LATER\n",
		"CONNECT 1 DUPLEX\n",
		"CONNECT 1 DUPLEX \n",
		"CONNECT 1 DUPLEX x\n", /* its descriptor is missing */
		"CONNECT 1 DUPLEX 123456789012345678901234567890123\n",
		"\n",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int fd = fake_host_dial(&host);
		char got[64];
		ssize_t n;

		cr_assert_gt(write(fd, lines[i], strlen(lines[i])), 0);
		n = read(fd, got, sizeof(got));
		if (n > 0) {
			cr_assert_eq(strncmp(got, "FAILED ", 7), 0);
			n = read(fd, got, sizeof(got));
		}
		cr_assert_eq(n, 0, "line %zu", i);
		close(fd);
	}
}

/* Nothing is heard of the guest. */
static struct vsock_stream *begin_stream(void)
{
	struct vsock_stream *stream = NULL;

	/* Its backlog may be full. */
	for (int i = 0; i < TIMEOUT_MS && !stream; i++)
		if (vsock_stream_open(host.vsock, PORT, VSOCK_WRITE, -1, 60000, on_open, on_done,
		                      NULL, &stream, NULL) < 0)
			usleep(1000);
	cr_assert(stream);
	return stream;
}

Test(device, a_stream_too_many_is_refused_by_name)
{
	static struct vsock_stream *streams[VSOCK_STREAMS_MAX];
	struct vsock_stream *surplus;

	for (size_t i = 0; i < VSOCK_STREAMS_MAX; i++)
		streams[i] = begin_stream();
	surplus = begin_stream();
	fake_host_wait(&host, &heard.opened);
	cr_expect_str_eq(heard.err.text,
	                 "the stream to vsock port 1024: too many streams are open");
	for (size_t i = 0; i < VSOCK_STREAMS_MAX; i++)
		vsock_stream_destroy(streams[i]);
	vsock_stream_destroy(surplus);
}

Test(device, its_power_is_gone)
{
	autofree char *path = mem_printf("/proc/%d/status", vsock_pid(host.vsock));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096] = { 0 };

	cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
	cr_assert_not_null(strstr(text, "\nCapEff:\t0000000000000000\n"));
	cr_assert_not_null(strstr(text, "\nCapPrm:\t0000000000000000\n"));
	cr_assert_not_null(strstr(text, "\nNoNewPrivs:\t1\n"));
	cr_assert_not_null(strstr(text, "\nSeccomp:\t2\n"));
}
