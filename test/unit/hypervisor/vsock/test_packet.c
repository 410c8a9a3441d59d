#include "hypervisor/vsock/packet.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "hypervisor/vhost/virtqueue.h"

static char bytes[100];

Test(packet, a_header_in_pieces_is_put_together)
{
	struct virtio_vsock_hdr in = { .src_cid = 3, .dst_port = 1024, .len = 5, .op = 5 };
	struct virtio_vsock_hdr out;
	struct iovec iov[] = { { bytes, 10 }, { bytes + 10, 40 } };
	struct chain chain = { .niov = 2, .bytes = 50 };
	unsigned int niov;

	memcpy(bytes, &in, sizeof(in));
	cr_assert_eq(packet_read(&chain, iov, &niov, &out), 0);
	cr_assert_arr_eq(&in, &out, sizeof(in));
	cr_assert_eq(niov, 1);
	cr_assert_eq(iov[0].iov_base, bytes + 44);
	cr_assert_eq(iov[0].iov_len, 5, "one byte more is there than the header says");
}

Test(packet, a_chain_without_room_for_a_header_is_refused)
{
	struct virtio_vsock_hdr out;
	struct iovec iov[] = { { bytes, 43 } };
	struct chain chain = { .niov = 1, .bytes = 43 };
	unsigned int niov;

	cr_assert_eq(packet_read(&chain, iov, &niov, &out), -EPROTO);
}

Test(packet, a_length_beyond_the_chain_is_refused)
{
	struct virtio_vsock_hdr in = { .len = 57 }, out;
	struct iovec iov[] = { { bytes, 100 } };
	struct chain chain = { .niov = 1, .bytes = 100 };
	unsigned int niov;

	memcpy(bytes, &in, sizeof(in));
	cr_assert_eq(packet_read(&chain, iov, &niov, &out), -EPROTO);
	in.len = 56;
	memcpy(bytes, &in, sizeof(in));
	cr_assert_eq(packet_read(&chain, iov, &niov, &out), 0);
}

Test(packet, a_header_is_written_across_pieces)
{
	struct virtio_vsock_hdr in = { .src_cid = 2, .fwd_cnt = 77 };
	struct iovec iov[] = { { bytes, 1 }, { bytes + 1, 0 }, { bytes + 1, 99 } };

	packet_write(iov, 3, &in);
	cr_assert_arr_eq(bytes, &in, sizeof(in));
}

Test(packet, trimming_drops_pieces_that_become_empty)
{
	struct iovec iov[] = { { bytes, 10 }, { bytes + 10, 10 }, { bytes + 20, 10 } };

	cr_assert_eq(packet_trim(iov, 3, 10, 10), 1);
	cr_assert_eq(iov[0].iov_base, bytes + 10);
	cr_assert_eq(packet_trim(iov, 1, 10, 0), 0);
}
