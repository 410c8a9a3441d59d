#include "agent/launch/launch_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd_message.h"

int launch_wire_send(int socket, const struct launch_message *message)
{
	return write(socket, message, sizeof(*message)) < 0 ? -1 : 0;
}

int launch_wire_send_console(int socket, int master)
{
	const struct launch_message message = { .kind = LAUNCH_CONSOLE };
	ssize_t n = fd_message_send(socket, &message, sizeof(message), &master, 1);

	if (n < 0)
		errno = (int)-n;
	return n < 0 ? -1 : 0;
}

int launch_wire_ask_sender(int socket)
{
	return setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int));
}

/* The first is kept. */
static void take_descriptors(const struct cmsghdr *header, struct launch_received *out)
{
	size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	size_t i;
	int fd;

	for (i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
		if (out->fd < 0)
			out->fd = fd;
		else
			close(fd);
	}
}

/* Not fd_message_receive(): the sender's pid comes along. */
ssize_t launch_wire_receive(int socket, struct launch_received *out)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = { .iov_base = &out->message, .iov_len = sizeof(out->message) };
	struct msghdr msg = { .msg_iov = &iov,
		              .msg_iovlen = 1,
		              .msg_control = &control,
		              .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	ssize_t n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct ucred sender;

	out->pid = 0;
	out->fd = -1;
	for (header = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL; header;
	     header = CMSG_NXTHDR(&msg, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SCM_RIGHTS)
			take_descriptors(header, out);
		if (header->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&sender, CMSG_DATA(header), sizeof(sender));
			out->pid = sender.pid;
		}
	}
	return n;
}
