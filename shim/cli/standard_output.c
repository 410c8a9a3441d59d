#include "shim/cli/standard_output.h"

#include <errno.h>
#include <unistd.h>

#include "common/error.h"

int standard_output_write(const void *data, size_t len, struct error *err)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(STDOUT_FILENO, at, len);

		if (n < 0 && errno != EINTR)
			return error_errno(err, "write the answer to standard output");
		if (n > 0) {
			at += n;
			len -= n;
		}
	}
	return 0;
}
