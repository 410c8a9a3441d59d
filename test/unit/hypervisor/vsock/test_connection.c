#include "hypervisor/vsock/connection.h"

#include <criterion/criterion.h>
#include <errno.h>

#define WINDOW 1000

static struct connection connection;
static struct virtio_vsock_hdr header;

static void set_up(void)
{
	connection_init(&connection, 7, 1024, WINDOW);
}

TestSuite(connection, .init = set_up);

static void note(enum virtio_vsock_op op, uint32_t buf_alloc, uint32_t fwd_cnt, uint32_t flags)
{
	const struct virtio_vsock_hdr from_guest = {
		.op = op,
		.buf_alloc = buf_alloc,
		.fwd_cnt = fwd_cnt,
		.flags = flags,
	};

	connection_note(&connection, &from_guest);
}

Test(connection, sends_nothing_before_the_guest_has_given_credit)
{
	cr_assert_eq(connection_room(&connection), 0);
	note(VIRTIO_VSOCK_OP_RESPONSE, 100, 0, 0);
	cr_assert_eq(connection_room(&connection), 100);
}

Test(connection, what_is_on_its_way_takes_room_until_the_guest_has_handed_it_on)
{
	note(VIRTIO_VSOCK_OP_RESPONSE, 100, 0, 0);
	connection_send(&connection, 60);
	cr_assert_eq(connection_room(&connection), 40);
	note(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 100, 50, 0);
	cr_assert_eq(connection_room(&connection), 90);
}

Test(connection, counters_wrap)
{
	connection.sent = UINT32_MAX - 9;
	note(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 100, UINT32_MAX - 9, 0);
	connection_send(&connection, 30);
	cr_assert_eq(connection.sent, 20);
	cr_assert_eq(connection_room(&connection), 70);
}

Test(connection, a_guest_that_takes_its_room_back_or_lies_gets_nothing)
{
	note(VIRTIO_VSOCK_OP_RESPONSE, 100, 0, 0);
	connection_send(&connection, 60);
	note(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 50, 0, 0);
	cr_assert_eq(connection_room(&connection), 0);
	note(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 50, 1000, 0);
	cr_assert_eq(connection_room(&connection), 0);
}

Test(connection, bytes_beyond_the_credit_are_refused)
{
	cr_assert_eq(connection_receive(&connection, WINDOW), 0);
	cr_assert_eq(connection_receive(&connection, 1), -ENOBUFS);
	connection_forward(&connection, 10);
	cr_assert_eq(connection_receive(&connection, 11), -ENOBUFS);
	cr_assert_eq(connection_receive(&connection, 10), 0);
	cr_assert_eq(connection_held(&connection), WINDOW);
}

Test(connection, credit_is_told_when_the_guest_knows_of_less_than_half)
{
	note(VIRTIO_VSOCK_OP_RESPONSE, WINDOW, 0, 0);
	connection_receive(&connection, 400);
	connection_forward(&connection, 400);
	cr_assert_not(connection_next(&connection, &header));
	connection_receive(&connection, 200);
	connection_forward(&connection, 200);
	cr_assert(connection_next(&connection, &header));
	cr_assert_eq(header.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(header.fwd_cnt, 600);
	cr_assert_eq(header.buf_alloc, WINDOW);
	cr_assert_not(connection_next(&connection, &header));
}

Test(connection, a_guest_with_a_small_window_of_its_own_is_told_sooner)
{
	note(VIRTIO_VSOCK_OP_RESPONSE, 100, 0, 0);
	connection_receive(&connection, 51);
	connection_forward(&connection, 51);
	cr_assert(connection_next(&connection, &header));
	cr_assert_eq(header.fwd_cnt, 51);
}

Test(connection, credit_that_went_with_another_packet_is_not_told_again)
{
	note(VIRTIO_VSOCK_OP_RESPONSE, WINDOW, 0, 0);
	connection_receive(&connection, 600);
	connection_forward(&connection, 600);
	connection_header(&connection, VIRTIO_VSOCK_OP_RW, 5, &header);
	cr_assert_eq(header.fwd_cnt, 600);
	cr_assert_not(connection_next(&connection, &header));
}

Test(connection, a_credit_request_is_answered)
{
	note(VIRTIO_VSOCK_OP_CREDIT_REQUEST, 100, 0, 0);
	cr_assert(connection_next(&connection, &header));
	cr_assert_eq(header.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(header.src_port, 7);
	cr_assert_eq(header.dst_port, 1024);
}

Test(connection, shut_directions_add_up_and_are_told_once)
{
	connection_shut(&connection, VIRTIO_VSOCK_SHUTDOWN_SEND);
	cr_assert(connection_next(&connection, &header));
	cr_assert_eq(header.op, VIRTIO_VSOCK_OP_SHUTDOWN);
	cr_assert_eq(header.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	connection_shut(&connection, VIRTIO_VSOCK_SHUTDOWN_SEND);
	cr_assert_not(connection_next(&connection, &header));
	connection_shut(&connection, VIRTIO_VSOCK_SHUTDOWN_RCV);
	cr_assert(connection_next(&connection, &header));
	cr_assert_eq(header.flags, CONNECTION_SHUT_BOTH);
}

Test(connection, the_guests_shut_directions_are_kept_and_strange_flags_are_not)
{
	note(VIRTIO_VSOCK_OP_SHUTDOWN, 0, 0, 0xfffffff0 | VIRTIO_VSOCK_SHUTDOWN_RCV);
	note(VIRTIO_VSOCK_OP_RW, 0, 0, VIRTIO_VSOCK_SHUTDOWN_SEND);
	cr_assert_eq(connection.guest_shut, VIRTIO_VSOCK_SHUTDOWN_RCV);
}

Test(connection, a_response_goes_before_a_shutdown)
{
	connection_shut(&connection, VIRTIO_VSOCK_SHUTDOWN_SEND);
	connection_owe(&connection, VIRTIO_VSOCK_OP_RESPONSE);
	cr_assert(connection_next(&connection, &header));
	cr_assert_eq(header.op, VIRTIO_VSOCK_OP_RESPONSE);
	cr_assert(connection_next(&connection, &header));
	cr_assert_eq(header.op, VIRTIO_VSOCK_OP_SHUTDOWN);
}
