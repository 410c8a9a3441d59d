#include "shim/stdio/fifo.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/error.h"

int fifo_open(const char *path, const char *use, int *read_fd, int *write_fd, struct error *err)
{
	autoclose int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int writer;
	struct stat st;

	if (reader < 0 || fstat(reader, &st) < 0)
		return error_errno(err, "cannot open \"%s\" for %s", path, use);
	if (!S_ISFIFO(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "cannot open \"%s\" for %s: not a FIFO", path, use);
	writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (writer < 0)
		return error_errno(err, "cannot open \"%s\" for %s", path, use);
	*read_fd = take_fd(&reader);
	*write_fd = writer;
	return 0;
}
