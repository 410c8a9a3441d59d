#include "hypervisor/vhost/vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"

#define F_PROTOCOL_FEATURES  30
#define PROTOCOL_F_REPLY_ACK 3
#define PROTOCOL_F_CONFIG    9

#define FEATURES                                                                                   \
	((1ULL << VIRTIO_F_VERSION_1) | (1ULL << VIRTIO_RING_F_EVENT_IDX) |                        \
	 (1ULL << VIRTIO_RING_F_INDIRECT_DESC) | (1ULL << F_PROTOCOL_FEATURES))

#define RING_INDEX_MASK 0xffU
#define RING_NO_FD      (1U << 8)

enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
};

/* The payloads. */
struct ring_state {
	uint32_t index;
	uint32_t number;
};

struct ring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct mem_region {
	uint64_t guest;
	uint64_t size;
	uint64_t vmm;
	uint64_t offset;
};

struct mem_table {
	uint32_t count;
	uint32_t padding;
	struct mem_region regions[GUEST_MEMORY_REGIONS_MAX];
};

struct config_space {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[VHOST_USER_CONFIG_MAX];
};

union payload {
	uint64_t number;
	struct ring_state state;
	struct ring_addr addr;
	struct mem_table table;
	struct config_space config;
	uint8_t bytes[VHOST_MESSAGE_PAYLOAD_MAX];
};

/* A message at work: its payload and descriptors; a handler takes those that it keeps. */
struct request {
	union payload in;
	size_t size;
	int *fds;
	unsigned int nfds;
	union payload out;
	size_t out_size; /* 0: no answer but the one that NEED_REPLY asks for */
};

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "vhost-user: %s", what);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void ring_stop(struct vhost_user *vhost, struct vhost_user_ring *ring)
{
	if (ring->started)
		ring->base = ring->vq.next_avail;
	virtqueue_unmap(&ring->vq);
	source_remove(&ring->kick_source, vhost->epoll);
	close_fd(&ring->kick);
	ring->started = false;
}

/* A running ring is mapped; what it had popped and pushed stays as it is. */
static int ring_map(struct vhost_user *vhost, struct vhost_user_ring *ring, struct error *err)
{
	if (ring->started && ring->enabled)
		return virtqueue_map(&ring->vq, &vhost->memory, ring->size, &ring->rings, err);
	virtqueue_unmap(&ring->vq);
	return 0;
}

static struct vhost_user_ring *ring_of(struct vhost_user *vhost, uint64_t index, struct error *err)
{
	if (index < VHOST_USER_QUEUES)
		return &vhost->rings[index];
	refuse(err, "invalid queue index");
	return NULL;
}

static int answer_number(struct request *request, uint64_t number)
{
	request->out.number = number;
	request->out_size = sizeof(number);
	return 0;
}

static int get_features(struct vhost_user *vhost, struct request *request, struct error *err)
{
	return answer_number(request, FEATURES);
}

static int set_features(struct vhost_user *vhost, struct request *request, struct error *err)
{
	if (request->in.number & ~FEATURES)
		return refuse(err, "a feature that was not offered");
	vhost->features = request->in.number;
	return 0;
}

static uint64_t protocol_features(const struct vhost_user *vhost)
{
	return 1ULL << PROTOCOL_F_REPLY_ACK | (vhost->config ? 1ULL << PROTOCOL_F_CONFIG : 0);
}

static int get_protocol_features(struct vhost_user *vhost, struct request *request,
                                 struct error *err)
{
	return answer_number(request, protocol_features(vhost));
}

static int set_protocol_features(struct vhost_user *vhost, struct request *request,
                                 struct error *err)
{
	if (request->in.number & ~protocol_features(vhost))
		return refuse(err, "a protocol feature that was not offered");
	return 0;
}

static int get_queue_num(struct vhost_user *vhost, struct request *request, struct error *err)
{
	return answer_number(request, VHOST_USER_QUEUES);
}

static int set_owner(struct vhost_user *vhost, struct request *request, struct error *err)
{
	return 0;
}

/* The new table replaces the old one; running rings are found again in it. */
static int set_mem_table(struct vhost_user *vhost, struct request *request, struct error *err)
{
	const struct mem_table *table = &request->in.table;
	int r;

	if (request->size < offsetof(struct mem_table, regions) ||
	    table->count > GUEST_MEMORY_REGIONS_MAX || table->count != request->nfds ||
	    request->size !=
	            offsetof(struct mem_table, regions) + table->count * sizeof(table->regions[0]))
		return refuse(err, "a memory table that is not what it says");
	guest_memory_fini(&vhost->memory);
	for (unsigned int i = 0; i < VHOST_USER_QUEUES; i++)
		virtqueue_unmap(&vhost->rings[i].vq);
	for (unsigned int i = 0; i < table->count; i++) {
		const struct guest_region region = {
			.guest = table->regions[i].guest,
			.vmm = table->regions[i].vmm,
			.size = table->regions[i].size,
			.offset = table->regions[i].offset,
		};

		r = guest_memory_add(&vhost->memory, &region, request->fds[i], err);
		if (r < 0)
			return r;
	}
	for (unsigned int i = 0; i < VHOST_USER_QUEUES; i++) {
		r = ring_map(vhost, &vhost->rings[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_ring_num(struct vhost_user *vhost, struct request *request, struct error *err)
{
	struct vhost_user_ring *ring = ring_of(vhost, request->in.state.index, err);

	if (!ring)
		return -EINVAL;
	if (ring->started || request->in.state.number > VIRTQUEUE_SIZE_MAX)
		return refuse(err, "a queue is resized while it runs, or too large");
	ring->size = (uint16_t)request->in.state.number;
	return 0;
}

static int set_ring_addr(struct vhost_user *vhost, struct request *request, struct error *err)
{
	const struct ring_addr *addr = &request->in.addr;
	struct vhost_user_ring *ring = ring_of(vhost, addr->index, err);

	if (!ring)
		return -EINVAL;
	if (ring->started)
		return refuse(err, "a queue is moved while it runs");
	ring->rings = (struct virtqueue_rings){
		.desc = addr->desc,
		.avail = addr->avail,
		.used = addr->used,
	};
	return 0;
}

static int set_ring_base(struct vhost_user *vhost, struct request *request, struct error *err)
{
	struct vhost_user_ring *ring = ring_of(vhost, request->in.state.index, err);
	uint16_t base = (uint16_t)request->in.state.number;

	if (!ring)
		return -EINVAL;
	if (ring->started)
		return refuse(err, "a queue is rewound while it runs");
	/* A machine that was paused goes on where it stopped; a new driver begins at 0. */
	if (base != ring->base)
		vhost->ops->on_reset(vhost->ctx);
	ring->base = base;
	return 0;
}

static int get_ring_base(struct vhost_user *vhost, struct request *request, struct error *err)
{
	struct vhost_user_ring *ring = ring_of(vhost, request->in.state.index, err);

	if (!ring)
		return -EINVAL;
	ring_stop(vhost, ring);
	request->out.state = (struct ring_state){ request->in.state.index, ring->base };
	request->out_size = sizeof(struct ring_state);
	return 0;
}

static void on_kick(struct source *source, uint32_t events)
{
	/* Nothing to tell: who runs the loop looks at the rings after each event. And nothing to
	 * read: it is watched edge-triggered, and no counter comes near 2^64 kicks. */
}

/* The descriptor of a SET_VRING_KICK, _CALL or _ERR; *@ring is its queue. */
static int ring_fd(struct vhost_user *vhost, struct request *request, struct vhost_user_ring **ring,
                   int *fd, struct error *err)
{
	uint64_t number = request->in.number;

	*ring = ring_of(vhost, number & RING_INDEX_MASK, err);
	if (!*ring)
		return -EINVAL;
	if (request->nfds != (number & RING_NO_FD ? 0U : 1U))
		return refuse(err, "an eventfd is missing, or is one too many");
	*fd = request->nfds ? take_fd(&request->fds[0]) : -1;
	if (*fd >= 0)
		fcntl(*fd, F_SETFL, O_RDWR | O_NONBLOCK); /* a signal is never worth waiting for */
	return 0;
}

static int ring_start(struct vhost_user *vhost, struct vhost_user_ring *ring, struct error *err)
{
	int r = virtqueue_map(&ring->vq, &vhost->memory, ring->size, &ring->rings, err);

	if (r < 0)
		return r;
	ring->vq.event_idx = vhost->features & (1ULL << VIRTIO_RING_F_EVENT_IDX);
	virtqueue_start(&ring->vq, ring->base);
	r = source_add(&ring->kick_source, vhost->epoll, ring->kick, EPOLLIN | EPOLLET, on_kick);
	if (r < 0)
		return refuse(err, "a kick descriptor that cannot be waited for");
	ring->started = true;
	/* A master that knows no protocol features knows no SET_VRING_ENABLE either. */
	if (!(vhost->features & (1ULL << F_PROTOCOL_FEATURES)))
		ring->enabled = true;
	return ring_map(vhost, ring, err);
}

static int set_ring_kick(struct vhost_user *vhost, struct request *request, struct error *err)
{
	struct vhost_user_ring *ring;
	int fd = -1;
	int r = ring_fd(vhost, request, &ring, &fd, err);

	if (r < 0)
		return r;
	if (fd < 0)
		return refuse(err, "a queue without kicks");
	ring_stop(vhost, ring);
	ring->kick = fd;
	return ring_start(vhost, ring, err);
}

static int set_ring_call(struct vhost_user *vhost, struct request *request, struct error *err)
{
	struct vhost_user_ring *ring;
	int fd = -1;
	int r = ring_fd(vhost, request, &ring, &fd, err);

	if (r < 0)
		return r;
	close_fd(&ring->call);
	ring->call = fd;
	return 0;
}

static int set_ring_err(struct vhost_user *vhost, struct request *request, struct error *err)
{
	struct vhost_user_ring *ring;
	int fd = -1;
	int r = ring_fd(vhost, request, &ring, &fd, err);

	if (r < 0)
		return r;
	close_fd(&ring->error);
	ring->error = fd;
	return 0;
}

static int set_ring_enable(struct vhost_user *vhost, struct request *request, struct error *err)
{
	struct vhost_user_ring *ring = ring_of(vhost, request->in.state.index, err);

	if (!ring)
		return -EINVAL;
	ring->enabled = request->in.state.number;
	return ring_map(vhost, ring, err);
}

static int get_config(struct vhost_user *vhost, struct request *request, struct error *err)
{
	const struct config_space *in = &request->in.config;
	const size_t prefix = offsetof(struct config_space, data);

	if (request->size < prefix || request->size - prefix != in->size ||
	    in->offset > vhost->config_size || in->size > vhost->config_size - in->offset)
		return refuse(err, "a read beyond the configuration space");
	request->out.config = *in;
	if (in->size)
		memcpy(request->out.config.data, (const char *)vhost->config + in->offset,
		       in->size);
	request->out_size = prefix + in->size;
	return 0;
}

typedef int request_fn(struct vhost_user *vhost, struct request *request, struct error *err);

static const struct {
	request_fn *handle;
	size_t size; /* of the payload; 0: the handler checks it */
} requests[] = {
	[GET_FEATURES] = { get_features, 0 },
	[SET_FEATURES] = { set_features, sizeof(uint64_t) },
	[SET_OWNER] = { set_owner, 0 },
	[SET_MEM_TABLE] = { set_mem_table, 0 },
	[SET_VRING_NUM] = { set_ring_num, sizeof(struct ring_state) },
	[SET_VRING_ADDR] = { set_ring_addr, sizeof(struct ring_addr) },
	[SET_VRING_BASE] = { set_ring_base, sizeof(struct ring_state) },
	[GET_VRING_BASE] = { get_ring_base, sizeof(struct ring_state) },
	[SET_VRING_KICK] = { set_ring_kick, sizeof(uint64_t) },
	[SET_VRING_CALL] = { set_ring_call, sizeof(uint64_t) },
	[SET_VRING_ERR] = { set_ring_err, sizeof(uint64_t) },
	[GET_PROTOCOL_FEATURES] = { get_protocol_features, 0 },
	[SET_PROTOCOL_FEATURES] = { set_protocol_features, sizeof(uint64_t) },
	[GET_QUEUE_NUM] = { get_queue_num, 0 },
	[SET_VRING_ENABLE] = { set_ring_enable, sizeof(struct ring_state) },
	[GET_CONFIG] = { get_config, 0 },
};

/* The whole message is there. */
static int handle(struct vhost_user *vhost, struct error *err)
{
	struct vhost_message *message = &vhost->message;
	const struct vhost_message_wire *wire = &message->wire;
	struct request request = { .size = wire->size, .fds = message->fds, .nfds = message->nfds };
	int r;

	if (wire->request >= sizeof(requests) / sizeof(requests[0]) ||
	    !requests[wire->request].handle)
		return error_set(err, ERROR_UNIMPLEMENTED, "vhost-user: request %u", wire->request);
	if (requests[wire->request].size && requests[wire->request].size != wire->size)
		return error_set(err, ERROR_INVALID_ARGUMENT, "vhost-user: request %u of %u bytes",
		                 wire->request, wire->size);
	memcpy(&request.in, wire->payload, wire->size);
	r = requests[wire->request].handle(vhost, &request, err);
	if (r < 0)
		return r;
	if (!request.out_size && (wire->flags & VHOST_MESSAGE_NEED_REPLY))
		answer_number(&request, 0);
	if (!request.out_size)
		return 0;
	return vhost_message_reply(message, vhost->fd, &request.out, request.out_size, err);
}

static void on_message(struct source *source, uint32_t events)
{
	struct vhost_user *vhost = source_owner(source, struct vhost_user, source);
	struct error err;
	int r;

	while ((r = vhost_message_receive(&vhost->message, vhost->fd, &err)) > 0) {
		r = handle(vhost, &err);
		vhost_message_clear(&vhost->message);
		if (r < 0)
			break;
	}
	if (r != -EAGAIN)
		vhost->ops->on_gone(vhost->ctx, r < 0 ? &err : NULL);
}

int vhost_user_init(struct vhost_user *vhost, int epoll, int fd, const struct vhost_user_ops *ops,
                    void *ctx)
{
	*vhost = (struct vhost_user){
		.epoll = epoll,
		.fd = fd,
		.source.fd = -1,
		.ops = ops,
		.ctx = ctx,
	};
	for (unsigned int i = 0; i < VHOST_USER_QUEUES; i++)
		vhost->rings[i] = (struct vhost_user_ring){
			.kick = -1,
			.call = -1,
			.error = -1,
			.kick_source.fd = -1,
		};
	return source_add(&vhost->source, epoll, fd, EPOLLIN, on_message);
}

void vhost_user_fini(struct vhost_user *vhost)
{
	for (unsigned int i = 0; i < VHOST_USER_QUEUES; i++) {
		struct vhost_user_ring *ring = &vhost->rings[i];

		ring_stop(vhost, ring);
		close_fd(&ring->call);
		close_fd(&ring->error);
	}
	guest_memory_fini(&vhost->memory);
	vhost_message_clear(&vhost->message);
	source_remove(&vhost->source, vhost->epoll);
	close_fd(&vhost->fd);
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	/* It fails only when 2^64 - 2 signals wait, and then one more tells nothing. */
	if (fd >= 0)
		(void)!write(fd, &one, sizeof(one));
}

void vhost_user_publish(struct vhost_user *vhost, unsigned int which)
{
	if (virtqueue_publish(&vhost->rings[which].vq))
		signal_fd(vhost->rings[which].call);
}

void vhost_user_signal_error(struct vhost_user *vhost, unsigned int which)
{
	signal_fd(vhost->rings[which].error);
}
