#include "hypervisor/vhost/vhost_message.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd_message.h"

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

/* One read of what is missing: the header first, since it says how much follows. */
static int receive_some(struct vhost_message *message, int fd, struct error *err)
{
	size_t want = HEADER_SIZE + (message->have < HEADER_SIZE ? 0 : message->wire.size);
	size_t came;
	ssize_t n = fd_message_receive(fd, (char *)&message->wire + message->have,
	                               want - message->have, message->fds + message->nfds,
	                               VHOST_MESSAGE_FDS_MAX - message->nfds, &came);

	if (n == -EPROTO)
		return error_set(err, ERROR_INVALID_ARGUMENT, "vhost-user: too many descriptors");
	if (n == -EAGAIN)
		return -EAGAIN;
	if (n == -ECONNRESET)
		return 0;
	if (n < 0)
		return error_set(err, ERROR_UNKNOWN, "cannot receive from the VMM: %s",
		                 strerrordesc_np((int)-n));
	message->nfds += came;
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
	ssize_t n;

	assert(size <= sizeof(reply.payload));
	memcpy(reply.payload, payload, size);
	n = fd_message_send(fd, &reply, HEADER_SIZE + size, NULL, 0);
	if (n == (ssize_t)(HEADER_SIZE + size))
		return 0;
	error_set(err, ERROR_UNKNOWN, "cannot answer the VMM: %s",
	          n < 0 ? strerrordesc_np((int)-n) : "it takes no more");
	return -EPIPE; /* not -EAGAIN: the reply is lost */
}
