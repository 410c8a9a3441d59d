#include "shim/cli/standard_input.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/monotonic.h"

#define READ_SIZE 4096

/* Returns what read(2) does, once there is something to be read. */
static ssize_t read_some(int fd, void *to, size_t size, int64_t deadline, struct error *err)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	ssize_t n = -1;

	do {
		int64_t left = deadline - monotonic_ms();
		int ready = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;

		if (ready == 0)
			return error_set(err, ERROR_DEADLINE_EXCEEDED,
			                 "standard input does not end within %d ms",
			                 STANDARD_INPUT_TIMEOUT_MS);
		if (ready > 0)
			n = read(fd, to, size);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? error_errno(err, "cannot read standard input") : n;
}

int standard_input_read(int fd, struct buf *out, struct error *err)
{
	int64_t deadline = monotonic_ms() + STANDARD_INPUT_TIMEOUT_MS;
	char block[READ_SIZE];
	ssize_t n;

	if (isatty(fd))
		return 0;
	do {
		n = read_some(fd, block, sizeof(block), deadline, err);
		if (n > 0 && buf_append(out, block, n) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "standard input is longer than %d bytes",
			                 STANDARD_INPUT_MAX);
	} while (n > 0);
	return (int)n;
}
