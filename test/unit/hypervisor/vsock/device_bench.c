#include "device_bench.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

struct fake_host host;
struct guest guest;
struct guest_packet packet;
struct heard heard;

void set_up(void)
{
	fake_host_start(&host);
	guest_start(&guest, host.vmm);
}

void tear_down(void)
{
	fake_host_stop(&host);
	guest_stop(&guest);
}

void on_connected(void *ctx, int fd, const struct error *err)
{
	heard.connected++;
	heard.fd = fd;
	error_copy(&heard.err, err);
}

void on_accepted(void *ctx, int fd)
{
	heard.connected++;
	heard.fd = fd;
}

void on_open(void *ctx, uint32_t host_port, const struct error *err)
{
	heard.opened++;
	heard.host_port = host_port;
	error_copy(&heard.err, err);
}

void on_done(void *ctx, const struct error *err)
{
	heard.done++;
	error_copy(&heard.err, err);
}

void on_moved(void *ctx, const struct error *err)
{
	heard.moved++;
}

void reply(enum virtio_vsock_op op, uint32_t flags, const void *data, uint32_t len)
{
	guest_send(&guest, packet.header.dst_port, packet.header.src_port, op, flags, data, len);
}

int establish(void)
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

struct vsock_stream *open_stream(enum vsock_direction direction, int fd)
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

int make_fifo(void)
{
	autofree char *path = mem_printf("%s/fifo", host.dir);
	int fd;

	cr_assert_eq(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	unlink(path);
	return fd;
}

void read_exactly(int fd, char *to, size_t len)
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

void expect_end(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char byte;

	cr_assert_eq(poll(&wait, 1, TIMEOUT_MS), 1);
	cr_assert_eq(read(fd, &byte, 1), 0);
}

size_t flood(size_t total)
{
	static char bytes[GUEST_PACKET_MAX];
	size_t sent = 0;

	memset(bytes, 'x', sizeof(bytes));
	for (; sent < total; sent += sizeof(bytes))
		reply(VIRTIO_VSOCK_OP_RW, 0, bytes, sizeof(bytes));
	return sent;
}
