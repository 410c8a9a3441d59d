/*
 * The real device and a guest, or a VMM, that breaks the rules: it goes on with the others, or ends
 * what it had with this one; it never hangs, crashes or grows.
 */
#include <criterion/criterion.h>
#include <ev.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_guest.h"
#include "fake_host.h"
#include "hypervisor/vsock.h"

static struct fake_host host;
static struct guest guest;
static struct guest_packet packet;

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

TestSuite(hostile_guest, .init = set_up, .fini = tear_down);

/* The device says so by the queue's error eventfd, and lives. */
static void expect_broken(enum guest_queue queue)
{
	struct pollfd wait = { .fd = guest.rings[queue].error, .events = POLLIN };

	cr_assert_eq(poll(&wait, 1, GUEST_WAIT_MS), 1);
	guest_tell(&guest, 1, NULL, 0, NULL, 0, true);
}

static void expect_vmm_closed(void)
{
	struct pollfd wait = { .fd = guest.vmm, .events = POLLIN };
	char byte;

	cr_assert_eq(poll(&wait, 1, GUEST_WAIT_MS), 1);
	cr_assert_leq(recv(guest.vmm, &byte, 1, 0), 0);
	cr_assert_eq(kill(vsock_pid(host.vsock), 0), 0);
}

static void offer(enum guest_queue queue, struct vring_desc desc)
{
	struct guest_ring *ring = &guest.rings[queue];

	ring->desc[0] = desc;
	ring->avail->ring[ring->avail->idx % GUEST_QUEUE] = 0;
	__atomic_store_n(&ring->avail->idx, (uint16_t)(ring->avail->idx + 1), __ATOMIC_SEQ_CST);
	guest_kick(&guest, queue);
}

Test(hostile_guest, a_loop_in_a_chain_breaks_the_queue_only)
{
	offer(GUEST_TX, (struct vring_desc){ 0x1000, 1, VRING_DESC_F_NEXT, 0 });
	expect_broken(GUEST_TX);
}

Test(hostile_guest, an_address_outside_breaks_the_queue_only)
{
	offer(GUEST_TX, (struct vring_desc){ GUEST_MEMORY_SIZE, 64, 0, 0 });
	expect_broken(GUEST_TX);
}

Test(hostile_guest, an_index_that_jumps_breaks_the_queue_only)
{
	guest.rings[GUEST_TX].avail->idx = 0x8000;
	guest_kick(&guest, GUEST_TX);
	expect_broken(GUEST_TX);
}

Test(hostile_guest, a_receive_buffer_without_room_breaks_the_queue_only)
{
	guest_send(&guest, 5, 6, VIRTIO_VSOCK_OP_RW, 0, NULL, 0);
	offer(GUEST_RX, (struct vring_desc){ 0x100000, 44, VRING_DESC_F_WRITE, 0 });
	expect_broken(GUEST_RX);
}

Test(hostile_guest, a_broken_queue_works_again_after_a_restart)
{
	guest.rings[GUEST_TX].avail->idx = 0x8000;
	guest_kick(&guest, GUEST_TX);
	expect_broken(GUEST_TX);
	guest_restart(&guest, 0);
	guest_give(&guest, 4);
	guest_send(&guest, 5, 6, VIRTIO_VSOCK_OP_RW, 0, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
}

Test(hostile_guest, packets_of_other_machines_or_to_them_are_dropped)
{
	struct virtio_vsock_hdr header = guest_header(5, 6, VIRTIO_VSOCK_OP_REQUEST);

	guest_give(&guest, 4);
	header.src_cid = GUEST_CID + 1;
	guest_send_header(&guest, &header, NULL, 0);
	header.src_cid = GUEST_CID;
	header.dst_cid = 1;
	guest_send_header(&guest, &header, NULL, 0);
	guest_expect_silence(&guest);
}

Test(hostile_guest, a_length_beyond_the_packet_is_dropped)
{
	struct virtio_vsock_hdr header = guest_header(5, 6, VIRTIO_VSOCK_OP_RW);

	guest_give(&guest, 4);
	header.len = 1000;
	guest_send_header(&guest, &header, "x", 1);
	guest_expect_silence(&guest);
}

Test(hostile_guest, a_seqpacket_request_is_refused)
{
	struct virtio_vsock_hdr header = guest_header(5, 6, VIRTIO_VSOCK_OP_REQUEST);

	guest_give(&guest, 4);
	header.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	guest_send_header(&guest, &header, NULL, 0);
	guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
	cr_assert_eq(packet.header.type, VIRTIO_VSOCK_TYPE_SEQPACKET);
}

/* Each but the last of its kind is legal at some time. */
Test(hostile_guest, operations_out_of_place_end_their_stream_only)
{
	static const enum virtio_vsock_op ops[] = { VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_SHUTDOWN,
		                                    VIRTIO_VSOCK_OP_REQUEST,
		                                    VIRTIO_VSOCK_OP_CREDIT_REQUEST, 99 };

	guest_give(&guest, 4);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct fake_connect connect;

		fake_host_connect(&host, &connect, 1024);
		guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
		guest_send(&guest, 1024, packet.header.src_port, ops[i], 3, NULL, 0);
		guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
		fake_host_wait(&host, &connect.calls);
		cr_assert_eq(connect.fd, -1);
	}
}

/* A guest that takes no answers is not heard any more, until it does. */
Test(hostile_guest, a_flood_without_receive_buffers_costs_no_memory)
{
	unsigned int sent = 0, answered = 0;
	struct guest_ring *ring = &guest.rings[GUEST_TX];
	struct virtio_vsock_hdr header = guest_header(5, 6, VIRTIO_VSOCK_OP_REQUEST);

	while (sent < 256) {
		guest_send_header(&guest, &header, NULL, 0);
		sent++;
	}
	memcpy(guest.memory + 0x8000, &header, sizeof(header));
	offer(GUEST_TX, (struct vring_desc){ 0x8000, sizeof(header), 0, 0 });
	guest_tell(&guest, 1, NULL, 0, NULL, 0, true);
	cr_assert_eq(ring->used->idx, 256, "more than 256 answers wait");
	guest_give(&guest, 8);
	while (answered < 257) {
		guest_expect(&guest, VIRTIO_VSOCK_OP_RST, &packet);
		answered++;
	}
	cr_assert_eq(ring->used->idx, 257);
}

Test(hostile_guest, it_has_a_limited_number_of_streams_and_the_host_has_its_own)
{
	struct fake_connect connect;
	int listener = fake_host_listen(&host, 77);
	unsigned int taken = 0;

	guest_give(&guest, 8);
	for (uint32_t i = 0; i < 300; i++) {
		guest_send(&guest, 10000 + i, 77, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
		while (!guest_poll(&guest, &packet))
			usleep(100);
		taken += packet.header.op == VIRTIO_VSOCK_OP_RESPONSE;
		fake_host_accept(listener); /* never closed: all streams stay */
	}
	cr_assert_eq(taken, 256);
	fake_host_connect(&host, &connect, 1024);
	guest_expect(&guest, VIRTIO_VSOCK_OP_REQUEST, &packet);
	guest_send(&guest, 1024, packet.header.src_port, VIRTIO_VSOCK_OP_RESPONSE, 0, NULL, 0);
	fake_host_wait(&host, &connect.calls);
	cr_assert_geq(connect.fd, 0);
}

/* Messages of a VMM that breaks vhost-user: request, flags, size, payload. */
static void expect_refused(const void *bytes, uint32_t size, const int *fds, unsigned int nfds)
{
	struct fake_connect connect;

	cr_assert(guest_tell_raw(&guest, bytes, size, fds, nfds));
	expect_vmm_closed();
	fake_host_connect(&host, &connect, 1024);
	fake_host_wait(&host, &connect.calls);
	cr_assert_eq(connect.fd, -1);
}

Test(hostile_guest, an_unknown_request_ends_the_vmm)
{
	expect_refused((const uint32_t[]){ 99, 1, 0 }, 12, NULL, 0);
}

Test(hostile_guest, another_version_ends_the_vmm)
{
	expect_refused((const uint32_t[]){ 1, 2, 0 }, 12, NULL, 0);
}

Test(hostile_guest, a_message_that_is_too_long_ends_the_vmm)
{
	expect_refused((const uint32_t[]){ 1, 1, 1 << 20 }, 12, NULL, 0);
}

Test(hostile_guest, a_queue_that_there_is_not_ends_the_vmm)
{
	expect_refused((const uint32_t[]){ 10, 1, 8, 2, 0 }, 20, NULL, 0);
}

Test(hostile_guest, a_kick_without_its_descriptor_ends_the_vmm)
{
	expect_refused((const uint32_t[]){ 12, 1, 8, 0, 0 }, 20, NULL, 0);
}

Test(hostile_guest, too_many_descriptors_end_the_vmm)
{
	int fds[9];

	for (unsigned int i = 0; i < 9; i++)
		fds[i] = guest.memory_fd;
	expect_refused((const uint32_t[]){ 5, 1, 8, 9, 0 }, 20, fds, 9);
}

Test(hostile_guest, memory_that_is_not_there_ends_the_vmm)
{
	int empty = memfd_create("empty", MFD_CLOEXEC);
	const uint32_t message[] = { 5, 1, 40, 1, 0, 0, 0, 4096, 0, 0, 0x7f00, 0, 0 };

	expect_refused(message, sizeof(message), &empty, 1);
}

Test(hostile_guest, memory_without_the_running_queues_ends_the_vmm)
{
	const uint32_t message[] = { 5, 1, 40, 1, 0, 0, 0, 4096, 0, 0, 0x7f00, 0, 0 };

	expect_refused(message, sizeof(message), &guest.memory_fd, 1);
}
