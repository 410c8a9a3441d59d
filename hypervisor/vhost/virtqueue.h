/*
 * One split virtqueue (virtio 1.2, section 2.7), from the device's side. Nothing in it is trusted:
 * an index, length, address, flag or chain that breaks the rules makes the queue broken, and a
 * broken queue gives nothing any more until it is started again.
 *
 * Work is done in batches: pop, push, pop, push, ..., then one virtqueue_publish().
 */
#ifndef HYPERVISOR_VHOST_VIRTQUEUE_H
#define HYPERVISOR_VHOST_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct error;
struct guest_memory;
struct vring_desc;
struct vring_avail;
struct vring_used;

#define VIRTQUEUE_SIZE_MAX 1024

/* Where the rings are, as addresses of the VMM. */
struct virtqueue_rings {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
};

struct virtqueue {
	const struct guest_memory *memory;
	struct vring_desc *desc; /* NULL: not mapped, there is nothing in the queue */
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t size;       /* a power of two */
	uint16_t next_avail; /* what is popped next */
	uint16_t next_used;  /* where the next used chain goes */
	uint16_t published;  /* the used index that the guest has been shown */
	bool event_idx;      /* VIRTIO_RING_F_EVENT_IDX was agreed on */
	bool broken;
};

enum virtqueue_access {
	VIRTQUEUE_READABLE, /* the device reads: the guest's packets */
	VIRTQUEUE_WRITABLE, /* the device writes: the guest's empty buffers */
	VIRTQUEUE_EITHER,   /* what it reads, then what it writes: a request and its answer */
};

/* One popped chain of descriptors. */
struct chain {
	uint16_t head;
	unsigned int niov;
	unsigned int readable; /* of them; the others are writable */
	size_t bytes;
};

/* Finds the rings in @memory, which outlives the queue. Indices are kept: memory may have moved
 * under a running queue. */
int virtqueue_map(struct virtqueue *vq, const struct guest_memory *memory, uint16_t size,
                  const struct virtqueue_rings *rings, struct error *err);
void virtqueue_unmap(struct virtqueue *vq);
/* A mapped queue begins at @base, no longer broken. */
void virtqueue_start(struct virtqueue *vq, uint16_t base);

/*
 * The next chain: its pieces go to @iov, @max at most. Returns 1, 0 when there is none, -EPROTO
 * when the queue is broken; a chain that has a piece of another access is, or a readable piece after
 * a writable one.
 */
int virtqueue_pop(struct virtqueue *vq, enum virtqueue_access access, struct iovec *iov,
                  unsigned int max, struct chain *out);
void virtqueue_unpop(struct virtqueue *vq, unsigned int chains); /* the last ones popped */

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written);
/* Shows the guest what was pushed; true when it wants an interrupt for it. */
bool virtqueue_publish(struct virtqueue *vq);

/* Asks the guest for a kick when it adds a chain; true when there is one already. */
bool virtqueue_want_kick(struct virtqueue *vq);
void virtqueue_no_kick(struct virtqueue *vq);

#endif
