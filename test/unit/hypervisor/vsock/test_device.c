/*
 * Connections through the device, and its life.
 */
#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
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
#include "device_bench.h"

TestSuite(device, .init = set_up, .fini = tear_down);

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
