/*
 * Streams through the device whose host end is a pipe or a FIFO.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "device_bench.h"

TestSuite(device_stream, .init = set_up, .fini = tear_down);

Test(device_stream, a_fifo_gets_the_guests_bytes_and_the_end)
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

Test(device_stream, done_is_said_only_when_a_slow_reader_has_room_for_all)
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

Test(device_stream, a_descriptor_may_come_later)
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

Test(device_stream, stdin_is_read_from_a_fifo_until_its_end)
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

Test(device_stream, a_guest_that_closes_stdin_early_is_reported)
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

Test(device_stream, a_reset_of_output_is_reported_after_its_bytes)
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

Test(device_stream, a_stream_that_is_destroyed_is_reset_and_its_descriptor_closed)
{
	int ends[2];

	guest_give(&guest, 8);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	vsock_stream_destroy(open_stream(VSOCK_WRITE, ends[1]));
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	expect_end(ends[0]);
}

Test(device_stream, output_whose_reader_has_gone_is_reported_and_reset)
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

Test(device_stream, a_regular_file_is_refused)
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

Test(device_stream, a_stream_that_the_guest_refuses_is_an_error)
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

Test(device_stream, streams_end_when_the_vmm_has_gone_and_their_bytes_do_not_get_lost)
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

Test(device_stream, a_stream_too_many_is_refused_by_name)
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
