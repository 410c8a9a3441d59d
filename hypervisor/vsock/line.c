#include "hypervisor/vsock/line.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fd_message.h"

int line_receive(int fd, char line[LINE_MAX_SIZE], int *passed)
{
	const char *end;
	size_t len, npassed;
	ssize_t n = recv(fd, line, LINE_MAX_SIZE, MSG_PEEK | MSG_DONTWAIT);

	*passed = -1;
	if (n <= 0)
		return n < 0 && errno == EINTR ? -EAGAIN : n < 0 ? -errno : 0;
	end = memchr(line, '\n', n);
	if (!end)
		return n == LINE_MAX_SIZE ? -EPROTO : -EAGAIN;
	len = end - line + 1;
	n = fd_message_receive(fd, line, len, passed, 1, &npassed);
	if (n < 0)
		return (int)n;
	if ((size_t)n != len || memchr(line, '\0', n)) {
		if (npassed > 0)
			close(take_fd(passed));
		return -EPROTO;
	}
	line[n - 1] = '\0';
	return 1;
}

int line_send(int fd, const char *line, int pass)
{
	size_t len = strlen(line);
	ssize_t n = fd_message_send(fd, line, len, &pass, pass >= 0);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EPIPE;
}
