#include "hypervisor/vhost/virtqueue.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>

#include "common/error.h"
#include "hypervisor/vhost/guest_memory.h"

/*
 * The guest writes to all of this memory while it is read here. So each value is loaded once
 * (load16(), desc_load()), checked, and used from the copy. What is behind a checked address can
 * change, but it is bytes then, not structure.
 */
_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "virtio 1 is little-endian, and so is this code");

static uint16_t load16(const uint16_t *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

static void store16(uint16_t *to, uint16_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

static struct vring_desc desc_load(const struct vring_desc *desc)
{
	return (struct vring_desc){
		.addr = __atomic_load_n(&desc->addr, __ATOMIC_RELAXED),
		.len = __atomic_load_n(&desc->len, __ATOMIC_RELAXED),
		.flags = __atomic_load_n(&desc->flags, __ATOMIC_RELAXED),
		.next = __atomic_load_n(&desc->next, __ATOMIC_RELAXED),
	};
}

/* With EVENT_IDX each side says behind the other's ring for which index it wants to be woken. */
static uint16_t *used_event(const struct virtqueue *vq)
{
	return &vq->avail->ring[vq->size];
}

static uint16_t *avail_event(const struct virtqueue *vq)
{
	return (uint16_t *)&vq->used->ring[vq->size];
}

/* Aligned here, wherever the VMM has the region and where in its file it begins. */
static void *ring_at(const struct guest_memory *memory, uint64_t addr, size_t len, size_t align)
{
	void *ring = guest_memory_at_vmm(memory, addr, len);

	return (uintptr_t)ring % align ? NULL : ring;
}

int virtqueue_map(struct virtqueue *vq, const struct guest_memory *memory, uint16_t size,
                  const struct virtqueue_rings *rings, struct error *err)
{
	void *desc, *avail, *used;

	virtqueue_unmap(vq);
	if (!size || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)))
		return error_set(err, ERROR_INVALID_ARGUMENT, "a virtqueue of %u descriptors",
		                 size);
	desc = ring_at(memory, rings->desc, size * sizeof(struct vring_desc),
	               VRING_DESC_ALIGN_SIZE);
	avail = ring_at(memory, rings->avail,
	                sizeof(struct vring_avail) + (size + 1UL) * sizeof(uint16_t),
	                VRING_AVAIL_ALIGN_SIZE);
	used = ring_at(memory, rings->used,
	               sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) + 2,
	               VRING_USED_ALIGN_SIZE);
	if (!desc || !avail || !used)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "a virtqueue's rings are not aligned, or outside the guest's "
		                 "memory");
	vq->memory = memory;
	vq->size = size;
	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	return 0;
}

void virtqueue_unmap(struct virtqueue *vq)
{
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
}

void virtqueue_start(struct virtqueue *vq, uint16_t base)
{
	assert(vq->desc);
	vq->next_avail = base;
	vq->next_used = load16(&vq->used->idx);
	vq->published = vq->next_used;
	vq->broken = false;
}

static int break_queue(struct virtqueue *vq)
{
	vq->broken = true;
	return -EPROTO;
}

/* A chain on its way into the caller's iovec. */
struct walk {
	const struct guest_memory *memory;
	enum virtqueue_access access;
	struct iovec *iov;
	unsigned int max;
	unsigned int niov;
	unsigned int readable;
	size_t bytes;
};

static bool is_allowed(const struct walk *walk, bool writable)
{
	if (walk->access == VIRTQUEUE_EITHER)
		return writable || walk->readable == walk->niov;
	return writable == (walk->access == VIRTQUEUE_WRITABLE);
}

/* One descriptor's bytes, in more than one piece where they cross regions. */
static int walk_add(struct walk *walk, const struct vring_desc *desc)
{
	bool writable = desc->flags & VRING_DESC_F_WRITE;
	uint64_t addr = desc->addr;
	size_t left = desc->len;

	if (!is_allowed(walk, writable))
		return -EPROTO;
	while (left) {
		size_t piece = left;
		void *data = guest_memory_at(walk->memory, addr, &piece);

		if (!data || walk->niov == walk->max)
			return -EPROTO;
		walk->iov[walk->niov++] = (struct iovec){ .iov_base = data, .iov_len = piece };
		walk->readable += !writable;
		walk->bytes += piece;
		left -= piece;
		addr += piece; /* wraps only past the last region, where nothing is found */
	}
	return 0;
}

static int walk_table(struct walk *walk, const struct vring_desc *table, unsigned int entries,
                      unsigned int index, unsigned int indirect_max);

static int walk_indirect(struct walk *walk, const struct vring_desc *desc, unsigned int max)
{
	unsigned int entries = desc->len / sizeof(struct vring_desc);
	size_t len = desc->len;
	const void *table;

	if (!entries || entries > max || desc->len % sizeof(struct vring_desc) ||
	    (desc->flags & VRING_DESC_F_NEXT))
		return -EPROTO;
	table = guest_memory_at(walk->memory, desc->addr, &len);
	if (!table || len < desc->len || (uintptr_t)table % __alignof__(struct vring_desc))
		return -EPROTO;
	return walk_table(walk, table, entries, 0, 0);
}

/* Follows a chain through @table; no chain is longer than its table. An indirect table has
 * @indirect_max entries at most: 0 inside of one. */
static int walk_table(struct walk *walk, const struct vring_desc *table, unsigned int entries,
                      unsigned int index, unsigned int indirect_max)
{
	for (unsigned int steps = 0; steps < entries && index < entries; steps++) {
		struct vring_desc desc = desc_load(&table[index]);

		if (desc.flags & VRING_DESC_F_INDIRECT)
			return walk_indirect(walk, &desc, indirect_max);
		if (walk_add(walk, &desc) < 0)
			return -EPROTO;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		index = desc.next;
	}
	return -EPROTO;
}

int virtqueue_pop(struct virtqueue *vq, enum virtqueue_access access, struct iovec *iov,
                  unsigned int max, struct chain *out)
{
	struct walk walk = { .memory = vq->memory, .access = access, .iov = iov, .max = max };
	uint16_t waiting, head;

	if (vq->broken)
		return -EPROTO;
	if (!vq->desc)
		return 0;
	waiting = (uint16_t)(load16(&vq->avail->idx) - vq->next_avail);
	if (!waiting)
		return 0;
	if (waiting > vq->size)
		return break_queue(vq);
	head = load16(&vq->avail->ring[vq->next_avail & (vq->size - 1)]);
	if (walk_table(&walk, vq->desc, vq->size, head, vq->size) < 0)
		return break_queue(vq);
	vq->next_avail++;
	*out = (struct chain){
		.head = head,
		.niov = walk.niov,
		.readable = walk.readable,
		.bytes = walk.bytes,
	};
	return 1;
}

void virtqueue_unpop(struct virtqueue *vq, unsigned int chains)
{
	vq->next_avail -= chains;
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct vring_used_elem *elem = &vq->used->ring[vq->next_used & (vq->size - 1)];

	elem->id = head;
	elem->len = written;
	vq->next_used++;
}

bool virtqueue_publish(struct virtqueue *vq)
{
	uint16_t before = vq->published;

	if (!vq->desc || vq->next_used == before)
		return false;
	store16(&vq->used->idx, vq->next_used);
	vq->published = vq->next_used;
	/* Either the guest sees the new index, or we see that it waits for it. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq->event_idx)
		return vring_need_event(load16(used_event(vq)), vq->next_used, before);
	return !(load16(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

bool virtqueue_want_kick(struct virtqueue *vq)
{
	if (!vq->desc || vq->broken)
		return false;
	if (vq->event_idx)
		store16(avail_event(vq), vq->next_avail);
	else
		store16(&vq->used->flags, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load16(&vq->avail->idx) != vq->next_avail;
}

void virtqueue_no_kick(struct virtqueue *vq)
{
	/* With EVENT_IDX the index that was asked for lies behind, which says the same. */
	if (vq->desc && !vq->event_idx)
		store16(&vq->used->flags, VRING_USED_F_NO_NOTIFY);
}
