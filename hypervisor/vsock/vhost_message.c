#include "hypervisor/vsock/vhost_message.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"

#define HEADER_SIZE offsetof(struct vhost_message_wire, payload)

#define FLAG_VERSION      1U
#define FLAG_VERSION_MASK 3U
#define FLAG_REPLY        (1U << 2)

void vhost_message_clear(struct vhost_message *message)
{
	for (unsigned int i = 0; i < message->nfds; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	message->nfds = 0;
	message->have = 0;
}

/* Keeps the descriptors that came; false when there are more than any message has. */
static bool keep_fds(struct vhost_message *message, struct msghdr *header)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(header);
	bool fits = !(header->msg_flags & MSG_CTRUNC);
	size_t n;

	if (!part || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
		return fits;
	n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
		if (message->nfds < VHOST_MESSAGE_FDS_MAX) {
			message->fds[message->nfds++] = fd;
			continue;
		}
		close(fd);
		fits = false;
	}
	return fits;
}

/* One read of what is missing: the header first, since it says how much follows. */
static int receive_some(struct vhost_message *message, int fd, struct error *err)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(VHOST_MESSAGE_FDS_MAX * sizeof(int))];
	} control;
	size_t want = HEADER_SIZE + (message->have < HEADER_SIZE ? 0 : message->wire.size);
	struct iovec iov = { (char *)&message->wire + message->have, want - message->have };
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n < 0)
		return errno == ECONNRESET ? 0 : error_errno(err, "receive from the VMM");
	if (n > 0 && !keep_fds(message, &header))
		return error_set(err, ERROR_INVALID_ARGUMENT, "vhost-user: too many descriptors");
	message->have += n;
	return n > 0;
}

int vhost_message_receive(struct vhost_message *message, int fd, struct error *err)
{
	const struct vhost_message_wire *wire = &message->wire;

	for (;;) {
		int r = receive_some(message, fd, err);

		if (r <= 0)
			return r;
		if (message->have < HEADER_SIZE)
			continue;
		if (wire->size > VHOST_MESSAGE_PAYLOAD_MAX ||
		    (wire->flags & FLAG_VERSION_MASK) != FLAG_VERSION)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "vhost-user: request %u of %u bytes with flags %#x",
			                 wire->request, wire->size, wire->flags);
		if (message->have == HEADER_SIZE + wire->size)
			return 1;
	}
}

int vhost_message_reply(const struct vhost_message *message, int fd, const void *payload,
                        size_t size, struct error *err)
{
	struct vhost_message_wire reply = {
		.request = message->wire.request,
		.flags = FLAG_VERSION | FLAG_REPLY,
		.size = size,
	};

	assert(size <= sizeof(reply.payload));
	memcpy(reply.payload, payload, size);
	if (send(fd, &reply, HEADER_SIZE + size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return error_errno(err, "answer the VMM");
	return 0;
}
