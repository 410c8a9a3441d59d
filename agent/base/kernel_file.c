#include "agent/base/kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/cleanup.h"
#include "common/error.h"

static int open_below(int dirfd, const char *name, int flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};

	return syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
}

int kernel_file_write(int dirfd, const char *name, const char *value, struct error *err)
{
	autoclose int fd = open_below(dirfd, name, O_WRONLY);
	size_t len = strlen(value);
	ssize_t n;

	n = fd < 0 ? -1 : write(fd, value, len);
	if (n < 0)
		return error_errno(err, "cannot write \"%s\" to \"%s\"", value, name);
	if ((size_t)n != len) {
		errno = EIO;
		return error_errno(err, "cannot write \"%s\" to \"%s\"", value, name);
	}
	return 0;
}

int kernel_file_read(int dirfd, const char *name, char *text, size_t size, struct error *err)
{
	autoclose int fd = open_below(dirfd, name, O_RDONLY);
	ssize_t n;

	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (n < 0)
		return error_errno(err, "cannot read \"%s\"", name);
	text[n] = '\0';
	return 0;
}
