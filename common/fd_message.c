#include "common/fd_message.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr header; /* for its alignment */
	char space[CMSG_SPACE(FD_MESSAGE_MAX * sizeof(int))];
};

ssize_t fd_message_send(int socket, const void *data, size_t size, const int *fds, size_t nfds)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	assert(nfds <= FD_MESSAGE_MAX);
	if (nfds > 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, nfds * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	}
	n = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

/* Closes those that came, which are at most FD_MESSAGE_MAX. */
static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* The descriptors that the kernel has installed. */
static size_t find_fds(struct msghdr *message, int fds[FD_MESSAGE_MAX])
{
	struct cmsghdr *part;
	size_t n = 0;

	for (part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		assert(n + here <= FD_MESSAGE_MAX); /* there is no room for more */
		memcpy(fds + n, CMSG_DATA(part), here * sizeof(int));
		n += here;
	}
	return n;
}

ssize_t fd_message_receive(int socket, void *data, size_t size, int *fds, size_t max, size_t *nfds)
{
	union control control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int came[FD_MESSAGE_MAX];
	ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	size_t ncame;

	*nfds = 0;
	if (n < 0)
		return -errno;
	ncame = find_fds(&message, came);
	if (ncame > max || (message.msg_flags & MSG_CTRUNC)) {
		close_all(came, ncame);
		return -EPROTO;
	}
	memcpy(fds, came, ncame * sizeof(int));
	*nfds = ncame;
	return n;
}
