#include "hypervisor/vhost/virtqueue.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/vhost/guest_memory.h"

/*
 * One region of 64 KiB at guest address GUEST and VMM address VMM, with a queue of 8 descriptors at
 * its start, and a second region right behind the first in the guest's address space.
 */
#define GUEST  0x100000u
#define VMM    0x7f0000000000u
#define SIZE   0x10000u
#define QUEUE  8
#define AVAIL  0x400u
#define USED   0x800u
#define BUFFER 0x1000u /* offset of bytes that are no ring */

static struct guest_memory memory;
static struct virtqueue vq;
static struct vring_desc *desc;
static struct vring_avail *avail;
static struct vring_used *used;
static struct iovec iov[4];
static struct chain chain;

static void add_region_at(uint64_t guest, uint64_t vmm, uint64_t offset)
{
	const struct guest_region region = {
		.guest = guest,
		.vmm = vmm,
		.size = SIZE,
		.offset = offset,
	};
	int fd = memfd_create("guest", 0);

	cr_assert_eq(ftruncate(fd, (off_t)(SIZE + offset)), 0);
	cr_assert_eq(guest_memory_add(&memory, &region, fd, NULL), 0);
	close(fd);
}

static void add_region(uint64_t guest, uint64_t vmm)
{
	add_region_at(guest, vmm, 0);
}

static void set_up(void)
{
	const struct virtqueue_rings rings = { VMM, VMM + AVAIL, VMM + USED };

	add_region(GUEST, VMM);
	add_region(GUEST + SIZE, VMM + 0x100000);
	cr_assert_eq(virtqueue_map(&vq, &memory, QUEUE, &rings, NULL), 0);
	virtqueue_start(&vq, 0);
	desc = (void *)memory.regions[0].data;
	avail = (void *)(memory.regions[0].data + AVAIL);
	used = (void *)(memory.regions[0].data + USED);
}

static void tear_down(void)
{
	guest_memory_fini(&memory);
}

TestSuite(virtqueue, .init = set_up, .fini = tear_down);

/* The driver's side: makes @head available. */
static void offer(uint16_t head)
{
	avail->ring[avail->idx % QUEUE] = head;
	avail->idx++;
}

static int pop(enum virtqueue_access access)
{
	return virtqueue_pop(&vq, access, iov, 4, &chain);
}

static void assert_broken(void)
{
	cr_assert_eq(pop(VIRTQUEUE_READABLE), -EPROTO);
	avail->idx = vq.next_avail; /* even when it looks well again */
	cr_assert_eq(pop(VIRTQUEUE_READABLE), -EPROTO);
}

Test(virtqueue, gives_nothing_while_the_guest_has_offered_nothing)
{
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 0);
}

Test(virtqueue, gives_nothing_when_it_is_not_mapped)
{
	virtqueue_unmap(&vq);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 0);
	cr_assert_not(virtqueue_publish(&vq));
	cr_assert_not(virtqueue_want_kick(&vq));
}

Test(virtqueue, follows_a_chain_in_order)
{
	desc[2] = (struct vring_desc){ GUEST + BUFFER, 44, VRING_DESC_F_NEXT, 5 };
	desc[5] = (struct vring_desc){ GUEST + BUFFER + 100, 7, 0, 0 };
	offer(2);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 1);
	cr_assert_eq(chain.head, 2);
	cr_assert_eq(chain.niov, 2);
	cr_assert_eq(chain.bytes, 51);
	cr_assert_eq(iov[1].iov_base, memory.regions[0].data + BUFFER + 100);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 0);
}

Test(virtqueue, a_descriptor_across_two_regions_becomes_two_pieces)
{
	desc[0] = (struct vring_desc){ GUEST + SIZE - 10, 30, 0, 0 };
	offer(0);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 1);
	cr_assert_eq(chain.niov, 2);
	cr_assert_eq(iov[0].iov_len, 10);
	cr_assert_eq(iov[1].iov_base, memory.regions[1].data);
	cr_assert_eq(iov[1].iov_len, 20);
}

Test(virtqueue, follows_an_indirect_table)
{
	struct vring_desc *table = (void *)(memory.regions[0].data + BUFFER);

	desc[0] = (struct vring_desc){ GUEST + BUFFER, 32, VRING_DESC_F_INDIRECT, 0 };
	table[0] = (struct vring_desc){ GUEST + 0x2000, 1, VRING_DESC_F_NEXT, 1 };
	table[1] = (struct vring_desc){ GUEST + 0x3000, 2, 0, 0 };
	offer(0);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 1);
	cr_assert_eq(chain.niov, 2);
	cr_assert_eq(chain.bytes, 3);
}

Test(virtqueue, what_is_unpopped_comes_again)
{
	desc[3] = (struct vring_desc){ GUEST + BUFFER, 8, VRING_DESC_F_WRITE, 0 };
	offer(3);
	cr_assert_eq(pop(VIRTQUEUE_WRITABLE), 1);
	virtqueue_unpop(&vq, 1);
	cr_assert_eq(pop(VIRTQUEUE_WRITABLE), 1);
	cr_assert_eq(chain.head, 3);
}

Test(virtqueue, shows_used_chains_when_published_and_not_before)
{
	virtqueue_push(&vq, 3, 100);
	cr_assert_eq(used->idx, 0);
	cr_assert(virtqueue_publish(&vq));
	cr_assert_eq(used->idx, 1);
	cr_assert_eq(used->ring[0].id, 3);
	cr_assert_eq(used->ring[0].len, 100);
	cr_assert_not(virtqueue_publish(&vq), "nothing new");
}

Test(virtqueue, interrupts_are_not_sent_to_a_guest_that_wants_none)
{
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	virtqueue_push(&vq, 3, 0);
	cr_assert_not(virtqueue_publish(&vq));
}

Test(virtqueue, event_idx_says_for_which_chain_an_interrupt_is_wanted)
{
	uint16_t *used_event = &avail->ring[QUEUE];

	vq.event_idx = true;
	*used_event = 1; /* not for the first, but for the second */
	virtqueue_push(&vq, 0, 0);
	cr_assert_not(virtqueue_publish(&vq));
	virtqueue_push(&vq, 1, 0);
	cr_assert(virtqueue_publish(&vq));
	virtqueue_push(&vq, 2, 0);
	cr_assert_not(virtqueue_publish(&vq));
}

Test(virtqueue, event_idx_asks_for_a_kick_at_the_next_chain)
{
	const uint16_t *avail_event = (void *)&used->ring[QUEUE];

	vq.event_idx = true;
	desc[0] = (struct vring_desc){ GUEST + BUFFER, 8, 0, 0 };
	offer(0);
	cr_assert(virtqueue_want_kick(&vq), "there is one already");
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 1);
	cr_assert_not(virtqueue_want_kick(&vq));
	cr_assert_eq(*avail_event, 1);
}

Test(virtqueue, indices_wrap)
{
	desc[0] = (struct vring_desc){ GUEST + BUFFER, 8, 0, 0 };
	avail->idx = 0xffff;
	virtqueue_start(&vq, 0xffff);
	offer(0);
	offer(0);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 1);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 1);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 0);
}

Test(virtqueue, a_loop_breaks_it)
{
	desc[0] = (struct vring_desc){ GUEST + BUFFER, 0, VRING_DESC_F_NEXT, 1 };
	desc[1] = (struct vring_desc){ GUEST + BUFFER, 0, VRING_DESC_F_NEXT, 0 };
	offer(0);
	assert_broken();
}

Test(virtqueue, more_chains_than_it_has_descriptors_break_it)
{
	avail->idx = QUEUE + 1;
	assert_broken();
}

Test(virtqueue, a_head_outside_breaks_it)
{
	offer(QUEUE);
	assert_broken();
}

Test(virtqueue, a_next_outside_breaks_it)
{
	desc[0] = (struct vring_desc){ GUEST + BUFFER, 8, VRING_DESC_F_NEXT, QUEUE };
	offer(0);
	assert_broken();
}

Test(virtqueue, an_address_outside_the_memory_breaks_it)
{
	desc[0] = (struct vring_desc){ GUEST - 1, 8, 0, 0 };
	offer(0);
	assert_broken();
}

Test(virtqueue, a_length_beyond_the_memory_breaks_it)
{
	desc[0] = (struct vring_desc){ GUEST + SIZE, SIZE + 1, 0, 0 };
	offer(0);
	assert_broken();
}

Test(virtqueue, an_address_at_the_end_of_the_address_space_breaks_it)
{
	desc[0] = (struct vring_desc){ UINT64_MAX, 0xffffffff, 0, 0 };
	offer(0);
	assert_broken();
}

Test(virtqueue, a_piece_of_the_wrong_direction_breaks_it)
{
	desc[0] = (struct vring_desc){ GUEST + BUFFER, 8, VRING_DESC_F_WRITE, 0 };
	offer(0);
	assert_broken();
}

Test(virtqueue, more_pieces_than_the_caller_takes_break_it)
{
	for (uint16_t i = 0; i < QUEUE; i++)
		desc[i] = (struct vring_desc){ GUEST + BUFFER, 8, VRING_DESC_F_NEXT, i + 1 };
	desc[4].flags = 0;
	offer(0);
	assert_broken();
}

Test(virtqueue, an_indirect_table_inside_of_one_breaks_it)
{
	struct vring_desc *table = (void *)(memory.regions[0].data + BUFFER);

	desc[0] = (struct vring_desc){ GUEST + BUFFER, 16, VRING_DESC_F_INDIRECT, 0 };
	table[0] = desc[0];
	offer(0);
	assert_broken();
}

Test(virtqueue, an_indirect_table_of_half_a_descriptor_breaks_it)
{
	desc[0] = (struct vring_desc){ GUEST + BUFFER, 24, VRING_DESC_F_INDIRECT, 0 };
	offer(0);
	assert_broken();
}

Test(virtqueue, an_indirect_table_across_two_regions_breaks_it)
{
	desc[0] = (struct vring_desc){ GUEST + SIZE - 16, 32, VRING_DESC_F_INDIRECT, 0 };
	offer(0);
	assert_broken();
}

Test(virtqueue, an_indirect_table_longer_than_the_queue_breaks_it)
{
	desc[0] = (struct vring_desc){ GUEST + BUFFER, 16 * (QUEUE + 1), VRING_DESC_F_INDIRECT, 0 };
	offer(0);
	assert_broken();
}

Test(virtqueue, a_start_mends_a_broken_one)
{
	offer(QUEUE);
	assert_broken();
	virtqueue_start(&vq, avail->idx);
	desc[0] = (struct vring_desc){ GUEST + BUFFER, 8, 0, 0 };
	offer(0);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 1);
}

Test(virtqueue, rings_outside_the_memory_are_refused)
{
	const struct virtqueue_rings end = { VMM + SIZE - 64, VMM + AVAIL, VMM + USED };
	const struct virtqueue_rings odd = { VMM, VMM + AVAIL + 1, VMM + USED };
	const struct virtqueue_rings wrap = { VMM, UINT64_MAX - 1, VMM + USED };

	cr_assert_lt(virtqueue_map(&vq, &memory, QUEUE, &end, NULL), 0);
	cr_assert_lt(virtqueue_map(&vq, &memory, QUEUE, &odd, NULL), 0);
	cr_assert_lt(virtqueue_map(&vq, &memory, QUEUE, &wrap, NULL), 0);
	cr_assert_eq(pop(VIRTQUEUE_READABLE), 0, "nothing is mapped after a refusal");
}

Test(virtqueue, rings_in_a_region_at_an_odd_place_are_refused)
{
	const struct virtqueue_rings rings = { 2 * VMM, 2 * VMM + AVAIL, 2 * VMM + USED };

	add_region_at(GUEST + 2 * SIZE, 2 * VMM, 1);
	cr_assert_lt(virtqueue_map(&vq, &memory, QUEUE, &rings, NULL), 0);
}

Test(virtqueue, a_size_that_is_no_power_of_two_is_refused)
{
	const struct virtqueue_rings rings = { VMM, VMM + AVAIL, VMM + USED };

	cr_assert_lt(virtqueue_map(&vq, &memory, 0, &rings, NULL), 0);
	cr_assert_lt(virtqueue_map(&vq, &memory, 6, &rings, NULL), 0);
	cr_assert_lt(virtqueue_map(&vq, &memory, 2 * VIRTQUEUE_SIZE_MAX, &rings, NULL), 0);
}

Test(guest_memory, a_region_longer_than_its_file_is_refused)
{
	const struct guest_region region = { .size = 8192, .offset = 4096 };
	int fd = memfd_create("guest", 0);

	cr_assert_eq(ftruncate(fd, 8192), 0);
	cr_assert_lt(guest_memory_add(&memory, &region, fd, NULL), 0);
	cr_assert_eq(memory.count, 0);
	close(fd);
}

Test(guest_memory, a_region_past_the_end_of_the_address_space_is_refused)
{
	const struct guest_region region = { .guest = UINT64_MAX - 4095, .size = 8192 };
	int fd = memfd_create("guest", 0);

	cr_assert_eq(ftruncate(fd, 8192), 0);
	cr_assert_lt(guest_memory_add(&memory, &region, fd, NULL), 0);
	close(fd);
}
