#include "fake_guest.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define VMM_BASE 0x7f1200000000ULL /* where the memory is in the VMM's address space */

/* The queues' parts in the first pages, receive buffers from 1 MiB, packets to send at 2 MiB. */
#define RING_SIZE  0x4000
#define RX_BUFFERS (1 << 20)
#define TX_BUFFER  (2 << 20)

#define HEADER_SIZE sizeof(struct virtio_vsock_hdr)

struct ring_state {
	uint32_t index;
	uint32_t number;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool guest_tell_raw(struct guest *guest, const void *bytes, uint32_t size, const int *fds,
                    unsigned int nfds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)bytes, size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, nfds * sizeof(int));
	}
	return sendmsg(guest->vmm, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

uint64_t guest_tell(struct guest *guest, uint32_t request, const void *payload, uint32_t size,
                    const int *fds, unsigned int nfds, bool reply)
{
	struct {
		uint32_t request;
		uint32_t flags;
		uint32_t size;
		uint8_t payload[300];
	} __attribute__((packed)) message = { request, 1, size, { 0 } };
	uint64_t number = 0;

	if (size)
		memcpy(message.payload, payload, size);
	cr_assert(guest_tell_raw(guest, &message, 12 + size, fds, nfds));
	if (!reply)
		return 0;
	cr_assert_geq(recv(guest->vmm, &message, sizeof(message), 0), 12 + 8);
	cr_assert_eq(message.request, request);
	cr_assert_eq(message.flags, 5);
	memcpy(&number, message.payload + (request == 24 ? 12 : 0), sizeof(number));
	return number;
}

static void tell_number(struct guest *guest, uint32_t request, uint64_t number)
{
	guest_tell(guest, request, &number, sizeof(number), NULL, 0, false);
}

static void tell_fd(struct guest *guest, uint32_t request, uint64_t index, int fd)
{
	guest_tell(guest, request, &index, sizeof(index), &fd, 1, false);
}

void guest_share_memory(struct guest *guest)
{
	const struct {
		uint32_t count, padding;
		uint64_t guest, size, vmm, offset;
	} table = { 1, 0, 0, GUEST_MEMORY_SIZE, VMM_BASE, 0 };

	guest_tell(guest, 5, &table, sizeof(table), &guest->memory_fd, 1, false);
}

static void start_ring(struct guest *guest, uint32_t index, uint32_t base)
{
	struct guest_ring *ring = &guest->rings[index];
	const uint64_t at = VMM_BASE - (uintptr_t)guest->memory;
	const struct ring_state size = { index, GUEST_QUEUE }, start = { index, base };
	const struct ring_state enable = { index, 1 };
	const struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} addr = { index,
		   0,
		   at + (uintptr_t)ring->desc,
		   at + (uintptr_t)ring->used,
		   at + (uintptr_t)ring->avail,
		   0 };

	guest_tell(guest, 8, &size, sizeof(size), NULL, 0, false);
	guest_tell(guest, 10, &start, sizeof(start), NULL, 0, false);
	guest_tell(guest, 9, &addr, sizeof(addr), NULL, 0, false);
	tell_fd(guest, 12, index, ring->kick);
	guest_tell(guest, 18, &enable, sizeof(enable), NULL, 0, false);
	tell_fd(guest, 13, index, ring->call);
	tell_fd(guest, 14, index, ring->error);
}

/* Everything that was sent before has been handled when this returns. */
static void settle(struct guest *guest)
{
	guest_tell(guest, 1, NULL, 0, NULL, 0, true);
}

void guest_restart(struct guest *guest, int base)
{
	uint64_t stopped[GUEST_QUEUES];

	for (uint32_t i = 0; i < GUEST_QUEUES; i++) {
		const struct ring_state state = { i, 0 };

		stopped[i] = guest_tell(guest, 11, &state, sizeof(state), NULL, 0, true) >> 32;
	}
	for (uint32_t i = 0; i < GUEST_QUEUES; i++) {
		struct guest_ring *ring = &guest->rings[i];

		if (base >= 0) {
			memset(ring->desc, 0, RING_SIZE);
			ring->seen = 0;
		}
		start_ring(guest, i, base < 0 ? stopped[i] : (uint32_t)base);
	}
	settle(guest);
}

void guest_start(struct guest *guest, int vmm)
{
	struct {
		uint32_t offset, size, flags;
		uint64_t cid;
	} __attribute__((packed)) config = { 0, 8, 0, 0 };
	uint64_t features;

	guest->vmm = vmm;
	guest->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(guest->memory_fd, GUEST_MEMORY_SIZE), 0);
	guest->memory = mmap(NULL, GUEST_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
	                     guest->memory_fd, 0);
	features = guest_tell(guest, 1, NULL, 0, NULL, 0, true);
	cr_assert(features & (1ULL << 32) && features & (1ULL << 30));
	cr_assert(guest_tell(guest, 15, NULL, 0, NULL, 0, true) & (1ULL << 9));
	tell_number(guest, 16, (1 << 9) | (1 << 3));
	guest_tell(guest, 3, NULL, 0, NULL, 0, false);
	cr_assert_eq(guest_tell(guest, 24, &config, sizeof(config), NULL, 0, true), GUEST_CID);
	tell_number(guest, 2, (1ULL << 32) | (1ULL << 30) | (1ULL << 29));
	guest_share_memory(guest);
	for (uint32_t i = 0; i < GUEST_QUEUES; i++) {
		struct guest_ring *ring = &guest->rings[i];
		char *at = guest->memory + (size_t)i * RING_SIZE;

		*ring = (struct guest_ring){
			.desc = (void *)at,
			.avail = (void *)(at + 0x1000),
			.used = (void *)(at + 0x2000),
			.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.error = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		};
		start_ring(guest, i, 0);
	}
	settle(guest);
}

void guest_stop(struct guest *guest)
{
	for (uint32_t i = 0; i < GUEST_QUEUES; i++) {
		close(guest->rings[i].kick);
		close(guest->rings[i].call);
		close(guest->rings[i].error);
	}
	munmap(guest->memory, GUEST_MEMORY_SIZE);
	close(guest->memory_fd);
	close(guest->vmm);
}

void guest_kick(struct guest *guest, enum guest_queue queue)
{
	uint64_t one = 1;

	cr_assert_eq(write(guest->rings[queue].kick, &one, sizeof(one)), (ssize_t)sizeof(one));
}

/* With EVENT_IDX a kick is sent only when the device asks for one: so it is tested that it does. */
static void offer(struct guest *guest, enum guest_queue queue, uint16_t head)
{
	struct guest_ring *ring = &guest->rings[queue];
	uint16_t before = ring->avail->idx;
	uint16_t wanted;

	ring->avail->ring[before % GUEST_QUEUE] = head;
	/* Interrupts are wanted for the next chain that is used. */
	ring->avail->ring[GUEST_QUEUE] = ring->seen;
	__atomic_store_n(&ring->avail->idx, (uint16_t)(before + 1), __ATOMIC_SEQ_CST);
	/* What the device wants to be told of stands where the next element's id would. */
	wanted = (uint16_t)__atomic_load_n(&ring->used->ring[GUEST_QUEUE].id, __ATOMIC_SEQ_CST);
	if (vring_need_event(wanted, before + 1, before))
		guest_kick(guest, queue);
}

static bool used_more(const struct guest_ring *ring)
{
	return __atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE) != ring->seen;
}

/* Waits for the device's interrupt, not for the ring to change: so interrupts are tested as well.
 */
static bool wait_used(struct guest_ring *ring, int ms)
{
	int64_t deadline = now_ms() + ms;

	while (!used_more(ring)) {
		struct pollfd wait = { .fd = ring->call, .events = POLLIN };
		int64_t left = deadline - now_ms();
		uint64_t count;

		ring->avail->ring[GUEST_QUEUE] = ring->seen;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (used_more(ring))
			return true;
		if (left <= 0 || poll(&wait, 1, (int)left) < 0)
			return false;
		if (wait.revents)
			cr_assert_eq(read(ring->call, &count, sizeof(count)), 8);
	}
	return true;
}

static void give(struct guest *guest, uint16_t head)
{
	struct vring_desc *desc = &guest->rings[GUEST_RX].desc[head];
	uint64_t at = RX_BUFFERS + (uint64_t)head * (HEADER_SIZE + GUEST_BUFFER);

	desc[0] = (struct vring_desc){ at, HEADER_SIZE, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT,
		                       head + 1 };
	desc[1] = (struct vring_desc){ at + HEADER_SIZE, GUEST_BUFFER, VRING_DESC_F_WRITE, 0 };
	offer(guest, GUEST_RX, head);
}

void guest_give(struct guest *guest, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		give(guest, i * 2);
}

struct virtio_vsock_hdr guest_header(uint32_t guest_port, uint32_t host_port,
                                     enum virtio_vsock_op op)
{
	return (struct virtio_vsock_hdr){
		.src_cid = GUEST_CID,
		.dst_cid = 2,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = GUEST_WINDOW,
	};
}

void guest_send_header(struct guest *guest, const struct virtio_vsock_hdr *header, const void *data,
                       uint32_t len)
{
	struct guest_ring *ring = &guest->rings[GUEST_TX];
	char *at = guest->memory + TX_BUFFER;

	memcpy(at, header, HEADER_SIZE);
	if (len)
		memcpy(at + HEADER_SIZE, data, len);
	ring->desc[0] =
		(struct vring_desc){ TX_BUFFER, HEADER_SIZE, len ? VRING_DESC_F_NEXT : 0, 1 };
	ring->desc[1] = (struct vring_desc){ TX_BUFFER + HEADER_SIZE, len, 0, 0 };
	offer(guest, GUEST_TX, 0);
	cr_assert(wait_used(ring, GUEST_WAIT_MS), "the device has not taken a packet");
	ring->seen++;
}

void guest_send(struct guest *guest, uint32_t guest_port, uint32_t host_port,
                enum virtio_vsock_op op, uint32_t flags, const void *data, uint32_t len)
{
	struct virtio_vsock_hdr header = guest_header(guest_port, host_port, op);

	header.flags = flags;
	header.len = len;
	guest_send_header(guest, &header, data, len);
}

static bool take(struct guest *guest, struct guest_packet *out, int ms)
{
	struct guest_ring *ring = &guest->rings[GUEST_RX];
	const struct vring_used_elem *used = &ring->used->ring[ring->seen % GUEST_QUEUE];
	const char *at;

	if (!wait_used(ring, ms))
		return false;
	at = guest->memory + RX_BUFFERS + used->id * (HEADER_SIZE + GUEST_BUFFER);
	memcpy(out, at, sizeof(*out));
	cr_assert_eq(used->len, HEADER_SIZE + out->header.len);
	cr_assert_eq(out->header.src_cid, 2);
	cr_assert_eq(out->header.dst_cid, GUEST_CID);
	ring->seen++;
	give(guest, used->id);
	return true;
}

bool guest_poll(struct guest *guest, struct guest_packet *out)
{
	return used_more(&guest->rings[GUEST_RX]) && take(guest, out, 0);
}

void guest_expect(struct guest *guest, enum virtio_vsock_op op, struct guest_packet *out)
{
	cr_assert(take(guest, out, GUEST_WAIT_MS), "no packet came, one of operation %d was due",
	          op);
	cr_assert_eq(out->header.op, op, "a packet of operation %d came instead of %d",
	             out->header.op, op);
}

void guest_expect_after_credit(struct guest *guest, enum virtio_vsock_op op,
                               struct guest_packet *out)
{
	do
		cr_assert(take(guest, out, GUEST_WAIT_MS), "no packet came, one of %d was due", op);
	while (out->header.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(out->header.op, op, "a packet of operation %d came instead of %d",
	             out->header.op, op);
}

void guest_expect_silence(struct guest *guest)
{
	struct guest_packet packet = { 0 };

	cr_assert_not(take(guest, &packet, 100), "a packet of operation %d came", packet.header.op);
}
