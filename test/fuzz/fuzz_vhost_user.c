/*
 * A VMM that has been taken over: any messages, with any descriptors, some of which share memory
 * and start queues. The input is a list of messages: request, flags, number of descriptors, size,
 * payload.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/vhost/say.h"
#include "hypervisor/vsock/device.h"
#include "test/fuzz/fuzz.h"

#define MEMORY_SIZE 0x10000
#define FDS_MAX     12
#define PREFIX      4

struct message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	uint8_t payload[UINT8_MAX];
};

void say(const char *fmt, ...)
{
}

static int make_fd(unsigned int kind, int memory)
{
	switch (kind % 3) {
	case 0:
		return dup(memory);
	case 1:
		return eventfd(0, EFD_NONBLOCK);
	default:
		return open("/dev/null", O_RDWR);
	}
}

static void send_message(int vmm, const struct message *message, size_t len, int *fds,
                         unsigned int nfds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)message, len };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, nfds * sizeof(int));
	}
	(void)!sendmsg(vmm, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* One message from the front of the input; returns the bytes it took. The high bits of the second
 * byte make the size a lie. */
static size_t one_message(int vmm, int memory, const uint8_t *data, size_t size)
{
	unsigned int nfds = data[2] % (FDS_MAX + 1);
	size_t len = data[3] < size - PREFIX ? data[3] : size - PREFIX;
	struct message message = { .request = data[0], .flags = data[1] & 0x1f, .size = len };
	int fds[FDS_MAX];

	memcpy(message.payload, data + PREFIX, len);
	if (data[1] & 0x80)
		message.size += data[1] >> 5;
	for (unsigned int i = 0; i < nfds; i++)
		fds[i] = make_fd(data[2] / 16 + (data[0] != 5), memory);
	send_message(vmm, &message, offsetof(struct message, payload) + len, fds, nfds);
	for (unsigned int i = 0; i < nfds; i++)
		close(fds[i]);
	return PREFIX + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct device *device = calloc(1, sizeof(*device));
	int memory = memfd_create("guest", 0);
	char answers[4096];
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	if (ftruncate(memory, MEMORY_SIZE) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ||
	    device_init(device, 3, ends[0], eventfd(0, EFD_NONBLOCK), NULL) < 0)
		abort();
	/* Rings that are not all zero: some chains are there, sound ones and others. */
	if (size > 64)
		(void)!pwrite(memory, data + size - 64, 64, 0x400);
	while (size > PREFIX) {
		size_t used = one_message(ends[1], memory, data, size);

		device_step(device, 0, NULL);
		(void)!recv(ends[1], answers, sizeof(answers), MSG_DONTWAIT);
		data += used;
		size -= used;
	}
	device_fini(device);
	free(device);
	close(ends[1]);
	close(memory);
	return 0;
}
