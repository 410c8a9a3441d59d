#include "shim/stdio/copy.h"

#include <errno.h>
#include <unistd.h>

#include "common/error.h"

#define CHUNK (64 << 10)

static int write_all(const char *data, size_t len, struct error *err)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "write output to its file");
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int copy_output(const struct options *options, char **argv, struct error *err)
{
	static char chunk[CHUNK];
	ssize_t n;

	for (;;) {
		n = read(STDIN_FILENO, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "read output");
		if (n == 0)
			return 0;
		if (write_all(chunk, (size_t)n, err) < 0)
			return error_code_errno(err->code);
	}
}
