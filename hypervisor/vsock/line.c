#include "hypervisor/vsock/line.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union passing {
	struct cmsghdr header; /* for its alignment */
	char space[CMSG_SPACE(sizeof(int))];
};

static int take_passed(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int line_receive(int fd, char line[LINE_MAX_SIZE], int *passed)
{
	union passing passing;
	struct iovec iov = { .iov_base = line };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &passing,
		.msg_controllen = sizeof(passing),
	};
	const char *end;
	ssize_t n = recv(fd, line, LINE_MAX_SIZE, MSG_PEEK | MSG_DONTWAIT);

	*passed = -1;
	if (n <= 0)
		return n < 0 && errno == EINTR ? -EAGAIN : n < 0 ? -errno : 0;
	end = memchr(line, '\n', n);
	if (!end)
		return n == LINE_MAX_SIZE ? -EPROTO : -EAGAIN;
	iov.iov_len = end - line + 1;
	n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	*passed = take_passed(&message);
	if ((size_t)n != iov.iov_len || memchr(line, '\0', n)) {
		if (*passed >= 0)
			close(*passed);
		*passed = -1;
		return -EPROTO;
	}
	line[n - 1] = '\0';
	return 1;
}

int line_send(int fd, const char *line, int pass)
{
	union passing passing = { 0 };
	size_t len = strlen(line);
	struct iovec iov = { .iov_base = (char *)line, .iov_len = len };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (pass >= 0) {
		passing.header = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int)),
		};
		message.msg_control = &passing;
		message.msg_controllen = sizeof(passing);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &pass, sizeof(pass));
	}
	n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EPIPE;
}
