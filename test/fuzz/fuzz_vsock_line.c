/*
 * Processes of the host that say anything to the vsock device, with and without descriptors, and a
 * guest that takes their streams or refuses them.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/vsock/device.h"
#include "hypervisor/vsock/flow.h"
#include "hypervisor/vsock/line.h"
#include "test/fuzz/fuzz.h"

#define CID       3
#define PROCESSES 4
#define STEPS     64

struct world {
	struct script script;
	struct device device;
	int processes[PROCESSES]; /* -1: not there */
};

static int descriptor(uint8_t kind)
{
	switch (kind % 4) {
	case 0:
		return eventfd(0, EFD_CLOEXEC);
	case 1:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 2:
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	}
	return -1;
}

static void come(struct world *world, int *process)
{
	if (*process >= 0)
		close(*process);
	flow_accept(&world->device.table, fuzz_socket(process));
}

static void say_line(struct world *world, int *process)
{
	autofree char *text = script_text(&world->script);
	autoclose int fd = descriptor(script_byte(&world->script));

	if (*text)
		line_send(*process, text, fd);
}

static void say_bytes(struct world *world, int *process)
{
	fuzz_send_bytes(*process, &world->script);
}

static void hear(struct world *world, int *process)
{
	char bytes[4096];

	fuzz_receive(*process, bytes, sizeof(bytes));
}

static void go(struct world *world, int *process)
{
	if (script_byte(&world->script) & 1) {
		shutdown(*process, SHUT_WR);
		return;
	}
	close(*process);
	*process = -1;
}

/* What the queues would do: the flow's packets reach the guest, which sends one of its own. */
static void guest_acts(struct world *world, int *process)
{
	struct flow_link *link = LIST_FIRST(&world->device.table.flows);
	struct flow *flow;
	uint8_t which = script_byte(&world->script);
	struct virtio_vsock_hdr header = { .type = VIRTIO_VSOCK_TYPE_STREAM, .buf_alloc = 4096 };
	struct iovec iov[2];

	while (link && which--)
		link = LIST_NEXT(link, in_flows);
	flow = link ? flow_of_link(link) : NULL;
	if (!flow || (flow->state != FLOW_CONNECTING && flow->state != FLOW_OPEN))
		return;
	while (connection_next(&flow->connection, &header))
		;
	header.op = script_byte(&world->script) % 8;
	header.flags = script_byte(&world->script);
	header.fwd_cnt = script_byte(&world->script);
	iov[0].iov_base = (void *)script_bytes(&world->script, &iov[0].iov_len);
	header.len = iov[0].iov_len;
	flow_packet(flow, &header, iov, 1);
}

static void (*const steps[])(struct world *world, int *process) = {
	say_line, guest_acts, come, say_bytes, hear, go,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world = mem_new(struct world);
	int vmm;
	int device_end = fuzz_socket(&vmm);

	world->script = (struct script){ data, size };
	memset(world->processes, -1, sizeof(world->processes));
	if (device_init(&world->device, CID, device_end, eventfd(0, EFD_NONBLOCK), NULL) < 0)
		abort();
	for (int i = 0; i < STEPS && world->script.left; i++) {
		uint8_t what = script_byte(&world->script);
		int *process = &world->processes[what / 64];

		if (*process < 0)
			come(world, process);
		steps[what % (sizeof(steps) / sizeof(steps[0]))](world, process);
		device_step(&world->device, 0, NULL);
	}
	close(vmm);
	device_step(&world->device, 0, NULL);
	device_fini(&world->device);
	for (int i = 0; i < PROCESSES; i++)
		if (world->processes[i] >= 0)
			close(world->processes[i]);
	free(world);
	return 0;
}
