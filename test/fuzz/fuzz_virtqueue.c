/*
 * A hostile guest: what it writes into its memory, its rings and its packets included, while the
 * device and processes of the host do their work. The input is a script of commands, so that deep
 * states are reached; any bytes are a script.
 */
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/vhost/say.h"
#include "hypervisor/vsock/device.h"
#include "hypervisor/vsock/line.h"
#include "test/fuzz/fuzz.h"

#define CID     3
#define SIZE    0x10000u
#define QUEUE   16
#define VMM     0x7f0000000000u
#define PORT    77 /* somebody of the host listens on it */
#define HOSTS   4  /* processes of the host */
#define STEPS   256
#define BUFFERS 0x4000u /* of the receive queue */
#define PACKETS 0xc000u /* of the transmit queue */

/* A queue's parts: descriptors, available and used ring. */
#define QUEUE_AT(queue) ((queue)*0x1000u)
#define AVAIL           0x400u
#define USED            0x800u

struct world {
	struct device device;
	char *memory; /* the guest's own mapping, which stays when the device's goes */
	int listener; /* of PORT */
	int hosts[HOSTS];
	uint32_t port; /* of the host's end of the newest stream */
};

static int listen_on(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0)
		abort();
	return fd;
}

static void start_queue(struct vhost_user *vhost, enum vsock_queue which, bool event_idx)
{
	struct vhost_user_ring *ring = &vhost->rings[which];

	ring->size = QUEUE;
	ring->rings.desc = VMM + QUEUE_AT(which);
	ring->rings.avail = ring->rings.desc + AVAIL;
	ring->rings.used = ring->rings.desc + USED;
	if (virtqueue_map(&ring->vq, &vhost->memory, QUEUE, &ring->rings, NULL) < 0)
		abort();
	ring->vq.event_idx = event_idx;
	virtqueue_start(&ring->vq, 0);
}

static void world_init(struct world *world, bool event_idx)
{
	const struct guest_region region = { .vmm = VMM, .size = SIZE };
	int memory = memfd_create("guest", 0);
	struct error err;
	int ends[2];

	if (ftruncate(memory, SIZE) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ||
	    device_init(&world->device, CID, ends[0], listen_on(LINE_SOCKET), &err) < 0 ||
	    guest_memory_add(&world->device.vhost.memory, &region, memory, &err) < 0)
		abort();
	world->hosts[0] = ends[1]; /* the VMM's end; a script may close it */
	for (int i = 1; i < HOSTS; i++)
		world->hosts[i] = -1;
	world->memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	world->listener = listen_on(LINE_SOCKET "_77");
	start_queue(&world->device.vhost, VSOCK_QUEUE_RX, event_idx);
	start_queue(&world->device.vhost, VSOCK_QUEUE_TX, event_idx);
	close(memory);
}

static void world_fini(struct world *world)
{
	device_fini(&world->device);
	munmap(world->memory, SIZE);
	close(world->listener);
	for (int i = 0; i < HOSTS; i++)
		if (world->hosts[i] >= 0)
			close(world->hosts[i]);
}

static void offer(struct world *world, enum vsock_queue which, uint16_t head)
{
	struct vring_avail *avail = (void *)(world->memory + QUEUE_AT(which) + AVAIL);

	avail->ring[avail->idx % QUEUE] = head;
	avail->idx++;
}

/* A packet of a sound form, whose fields are the script's. */
static void send_packet(struct world *world, struct script *script)
{
	struct vring_desc *desc = (void *)(world->memory + QUEUE_AT(VSOCK_QUEUE_TX));
	const struct virtio_vsock_hdr header = {
		.src_cid = CID,
		.dst_cid = 2,
		.op = script_byte(script) % 9,
		.src_port = 1024 + script_byte(script) % 4,
		.dst_port = script_byte(script) % 2 ? world->port : PORT,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.flags = script_byte(script) % 5,
		.len = script_byte(script) * 64U,
		.buf_alloc = script_byte(script) * 256U,
		.fwd_cnt = script_byte(script),
	};

	memcpy(world->memory + PACKETS, &header, sizeof(header));
	desc[0] = (struct vring_desc){ PACKETS, sizeof(header), VRING_DESC_F_NEXT, 1 };
	desc[1] = (struct vring_desc){ PACKETS + sizeof(header), header.len, 0, 0 };
	offer(world, VSOCK_QUEUE_TX, 0);
}

static void give_buffer(struct world *world, struct script *script)
{
	struct vring_desc *desc = (void *)(world->memory + QUEUE_AT(VSOCK_QUEUE_RX));
	uint16_t head = script_byte(script) % QUEUE;

	desc[head] = (struct vring_desc){ BUFFERS + head * 512U, 44U + script_byte(script) * 2U,
		                          VRING_DESC_F_WRITE, 0 };
	offer(world, VSOCK_QUEUE_RX, head);
}

/* Anything anywhere in the memory. */
static void scribble(struct world *world, struct script *script)
{
	uint32_t at = script_number(script) % SIZE;
	uint8_t n = script_byte(script);

	for (unsigned int i = 0; i < n; i++)
		world->memory[(at + i) % SIZE] = (char)script_byte(script);
}

/* A descriptor with all its fields from the script. */
static void set_descriptor(struct world *world, struct script *script)
{
	unsigned int which = script_byte(script) % VHOST_USER_QUEUES;
	struct vring_desc *desc = (void *)(world->memory + QUEUE_AT(which));
	uint16_t head = script_byte(script) % QUEUE;

	desc[head].addr = script_number(script) % (2 * SIZE);
	desc[head].len = script_number(script) % (2 * SIZE);
	desc[head].flags = script_byte(script);
	desc[head].next = script_byte(script) % (QUEUE + 1);
	offer(world, which, head);
}

static void host_connect(struct world *world, struct script *script)
{
	static const char *const lines[] = {
		"CONNECT 1024\n",
		"CONNECT 1025 READ\n",
		"CONNECT 1026 WRITE\n",
		"CONNECT 1027 READ LATER\n",
		"CONNECT 1027 WRITE LATER\n",
		"CONNECT x\n",
	};
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = LINE_SOCKET };
	unsigned int which = script_byte(script) % (sizeof(lines) / sizeof(lines[0]));
	int at = 1 + script_byte(script) % (HOSTS - 1);
	int ends[2] = { -1, -1 };

	if (world->hosts[at] >= 0)
		close(world->hosts[at]);
	world->hosts[at] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(world->hosts[at], (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return;
	world->port = world->device.table.next_port ? world->device.table.next_port : 0x60000000;
	if ((which == 1 || which == 2) && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		abort();
	line_send(world->hosts[at], lines[which], ends[0]);
	if (ends[0] >= 0) {
		close(ends[0]);
		close(ends[1]);
	}
}

static void host_write(struct world *world, struct script *script)
{
	static const char *const lines[] = { "MOVED\n", "ATTACH\n", "bytes", "\n" };
	int fd = world->hosts[1 + script_byte(script) % (HOSTS - 1)];
	unsigned int which = script_byte(script) % (sizeof(lines) / sizeof(lines[0]));

	if (fd >= 0)
		line_send(fd, lines[which], which == 1 ? world->listener : -1);
}

static void host_read(struct world *world, struct script *script)
{
	int fd = world->hosts[1 + script_byte(script) % (HOSTS - 1)];
	char bytes[4096];

	if (fd >= 0)
		(void)!recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
}

static void host_close(struct world *world, struct script *script)
{
	uint8_t how = script_byte(script);
	int at = how % HOSTS;

	if (world->hosts[at] < 0)
		return;
	if (how & 0x80) {
		shutdown(world->hosts[at], SHUT_WR);
		return;
	}
	close(world->hosts[at]);
	world->hosts[at] = -1;
}

static void host_accept(struct world *world, struct script *script)
{
	int at = 1 + script_byte(script) % (HOSTS - 1);
	int fd = accept4(world->listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (world->hosts[at] >= 0)
		close(world->hosts[at]);
	world->hosts[at] = fd;
	world->port = PORT;
}

static void step(struct world *world, struct script *script)
{
	device_step(&world->device, 0, NULL);
}

static void (*const commands[])(struct world *world, struct script *script) = {
	step,         send_packet, give_buffer, scribble,   set_descriptor,
	host_connect, host_write,  host_read,   host_close, host_accept,
};

static char dir[] = "/tmp/kata-fuzz-virtqueue.XXXXXX";

static void leave(void)
{
	unlink(LINE_SOCKET);
	unlink(LINE_SOCKET "_77");
	rmdir(dir);
}

/* What a broken queue makes the device say is no news here. */
void say(const char *fmt, ...)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct script script = { data, size };
	struct world *world = calloc(1, sizeof(*world));

	if (!ready) {
		signal(SIGPIPE, SIG_IGN);
		if (!mkdtemp(dir) || chdir(dir) < 0)
			abort();
		atexit(leave);
		ready = true;
	}
	world_init(world, script_byte(&script) & 1);
	for (int i = 0; i < STEPS && script.left; i++)
		commands[script_byte(&script) % (sizeof(commands) / sizeof(commands[0]))](world,
		                                                                          &script);
	for (int i = 0; i < 4; i++)
		step(world, &script);
	world_fini(world);
	free(world);
	return 0;
}
