/*
 * One vhost-user message on its way: received piece by piece, with its descriptors.
 */
#ifndef HYPERVISOR_VHOST_VHOST_MESSAGE_H
#define HYPERVISOR_VHOST_VHOST_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct error;

#define VHOST_MESSAGE_PAYLOAD_MAX 272 /* of the messages there are here */
#define VHOST_MESSAGE_FDS_MAX     8

#define VHOST_MESSAGE_NEED_REPLY (1U << 3) /* a flag */

struct vhost_message {
	/* As it is on the wire. */
	struct vhost_message_wire {
		uint32_t request;
		uint32_t flags;
		uint32_t size; /* of the payload */
		uint8_t payload[VHOST_MESSAGE_PAYLOAD_MAX];
	} wire;
	size_t have; /* bytes of it that have come */
	int fds[VHOST_MESSAGE_FDS_MAX];
	unsigned int nfds;
};

/* Reads on: 1 when the message is whole, 0 at the end of file, -EAGAIN, or another negative errno
 * when it is no message. */
int vhost_message_receive(struct vhost_message *message, int fd, struct error *err);
/* Closes the descriptors that were not taken (taken ones are -1); ready for the next message. */
void vhost_message_clear(struct vhost_message *message);

int vhost_message_reply(const struct vhost_message *message, int fd, const void *payload,
                        size_t size, struct error *err);

#endif
