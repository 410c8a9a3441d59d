#include "agent/launch/executable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/errno_text.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define AHEAD_MAX   (4 << 20)   /* bytes */
#define AHEAD_CHUNK (128 << 10) /* what the kernel takes of one request: its read_ahead_kb */

/* 0, or the errno that speaks against @path; *@stat_failed when there is nothing to look at. */
static int check_executable(const char *path, bool *stat_failed)
{
	struct stat st;

	*stat_failed = stat(path, &st) < 0;
	if (*stat_failed)
		return errno;
	return S_ISDIR(st.st_mode) || !(st.st_mode & 0111) ? EACCES : 0;
}

static int refuse(const char *name, int error, bool stat_failed, struct error *err)
{
	enum error_code code = error == ENOENT ? ERROR_NOT_FOUND : ERROR_PERMISSION_DENIED;
	char why[ERRNO_TEXT_SIZE];

	if (stat_failed)
		return error_set(err, code, "exec: \"%s\": stat %s: %s", name, name,
		                 errno_text(error, why));
	return error_set(err, code, "exec: \"%s\": %s", name, errno_text(error, why));
}

/* The mode says yes; a mount without execution, or who we are, may still say no. */
static int check_access(const char *path, struct error *err)
{
	char why[ERRNO_TEXT_SIZE];

	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return error_set(err, ERROR_PERMISSION_DENIED, "exec %s: %s", path,
		                 errno_text(errno, why));
	return 0;
}

/* Each look walks the path, and has a file server read its links again: no more than are needed. As
 * Go's LookPath: what this user cannot execute there, or not on that mount, is passed over. */
static char *search(const char *name, const char *path)
{
	autofree char *copy = mem_strdup(path);
	char *rest = copy;
	bool stat_failed;
	char *dir;

	while ((dir = strsep(&rest, ":"))) {
		autofree char *file = mem_printf("%s/%s", *dir ? dir : ".", name);

		if (check_executable(file, &stat_failed) == 0 &&
		    faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) == 0)
			return take_ptr(&file);
	}
	return NULL;
}

static int check_named(const char *name, char **out, struct error *err)
{
	bool stat_failed;
	int error = check_executable(name, &stat_failed);
	int r = error ? refuse(name, error, stat_failed, err) : check_access(name, err);

	if (r == 0)
		*out = mem_strdup(name);
	return r;
}

int executable_find(const char *name, const char *path, char **out, struct error *err)
{
	autofree char *file = NULL;

	if (strchr(name, '/'))
		return check_named(name, out, err);
	if (*name)
		file = search(name, path ? path : "");
	if (!file)
		return error_set(err, ERROR_NOT_FOUND,
		                 "exec: \"%s\": executable file not found in $PATH", name);
	if (file[0] != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "exec: \"%s\": cannot run executable found relative to current "
		                 "directory",
		                 name);
	*out = take_ptr(&file);
	return 0;
}

int executable_open(const char *file)
{
	autoclose int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ? -1 : take_fd(&fd);
}

void executable_read_ahead(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	for (off_t at = 0; at < st.st_size && at < AHEAD_MAX; at += AHEAD_CHUNK)
		if (readahead(fd, at, AHEAD_CHUNK) < 0)
			break;
}
