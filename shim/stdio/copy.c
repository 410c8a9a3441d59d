#include "shim/stdio/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define CHUNK     (64 << 10)
#define FILE_MODE 0640

static int copy(int to, struct error *err)
{
	static char chunk[CHUNK];
	ssize_t n;

	for (;;) {
		n = read(STDIN_FILENO, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "cannot read output");
		if (n == 0)
			return 0;
		if (file_write_all(to, chunk, (size_t)n) < 0)
			return error_errno(err, "cannot write output to its file");
	}
}

/* A FIFO that nobody reads yet is opened all the same, as a FIFO that containerd names is. */
static int open_any(const char *path)
{
	const int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, O_WRONLY | flags, FILE_MODE);

	if (fd < 0 && errno == ENXIO)
		fd = open(path, O_RDWR | flags, FILE_MODE);
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_APPEND); /* writes wait */
	return fd;
}

static int open_output(const char *path)
{
	autofree char *dir = mem_strdup(path);
	struct error err;
	int r;

	*strrchr(dir, '/') = '\0';
	if (*dir) {
		r = file_make_dirs(dir, 0755, &err);
		if (r < 0) {
			errno = -r;
			return -1;
		}
	}
	return open_any(path);
}

int copy_output(const struct command_line *line, char **argv, struct error *err)
{
	const char *path = argv[2];
	autoclose int fd = -1;
	int cause;

	if (!path || *path != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT, COPY_COMMAND ": no absolute path");
	fd = open_output(path);
	if (fd < 0) {
		cause = errno;
		(void)!write(COPY_READY, &cause, sizeof(cause)); /* or its reader has gone */
		return error_errno(err, "cannot open \"%s\" for output", path);
	}
	close(COPY_READY);
	return copy(fd, err);
}
