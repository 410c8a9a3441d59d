#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"

#define READ_FIRST 4096 /* of a file that does not say its length, as those of /proc */

static int open_regular(int dirfd, const char *name, struct stat *st, struct error *err)
{
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return error_set(err, ERROR_NOT_FOUND, "cannot open \"%s\": %s", name,
		                 strerror(errno));
	if (fd < 0)
		return error_errno(err, "cannot open \"%s\"", name);
	if (fstat(fd, st) < 0)
		return error_errno(err, "cannot stat \"%s\"", name);
	if (!S_ISREG(st->st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "cannot read \"%s\": not a regular file", name);
	return take_fd(&fd);
}

/* Reads until the end of file or one byte past @max; @*out grows as needed. */
static ssize_t read_all(int fd, size_t first, size_t max, char **out)
{
	size_t room = first < max ? first : max;
	size_t len = 0;
	ssize_t n;

	do {
		if (len > room)
			room = room * 2 < max ? room * 2 : max;
		*out = mem_realloc(*out, room + 2); /* the byte past @max, or the NUL */
		n = read(fd, *out + len, room + 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len <= max) || (n < 0 && errno == EINTR));
	(*out)[len] = '\0';
	return n < 0 ? -1 : (ssize_t)len;
}

ssize_t file_read(int dirfd, const char *name, size_t max, char **out, struct error *err)
{
	struct stat st = { 0 };
	autoclose int fd = open_regular(dirfd, name, &st, err);
	autofree char *text = NULL;
	ssize_t len;

	if (fd < 0)
		return fd;
	if (st.st_size > 0 && (size_t)st.st_size > max)
		len = st.st_size;
	else
		len = read_all(fd, st.st_size ? (size_t)st.st_size : READ_FIRST, max, &text);
	if (len < 0)
		return error_errno(err, "cannot read \"%s\"", name);
	if ((size_t)len > max)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "cannot read \"%s\": longer than %zu bytes", name, max);
	*out = take_ptr(&text);
	return len;
}

int file_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int file_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int file_write(int dirfd, const char *name, mode_t mode, const void *data, size_t len,
               struct error *err)
{
	autofree char *new_name = mem_printf("%s.new-%d", name, getpid());
	autoclose int fd = -1;
	int r;

	unlinkat(dirfd, new_name, 0); /* of an earlier process with this pid */
	fd = openat(dirfd, new_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return error_errno(err, "cannot create \"%s\"", new_name);
	if (fchmod(fd, mode) < 0 || file_write_all(fd, data, len) < 0 ||
	    renameat(dirfd, new_name, dirfd, name) < 0) {
		r = error_errno(err, "cannot write \"%s\"", name);
		unlinkat(dirfd, new_name, 0);
		return r;
	}
	return 0;
}

static int make_dir(const char *path, mode_t mode, struct error *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return error_errno(err, "cannot make directory \"%s\"", path);
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	else
		return 0;
	return error_errno(err, "cannot make directory \"%s\"", path);
}

int file_make_dirs(const char *path, mode_t mode, struct error *err)
{
	autofree char *part = mem_strdup(path);

	for (char *slash = part + strspn(part, "/"); (slash = strchr(slash, '/')); slash++) {
		int r;

		*slash = '\0';
		r = make_dir(part, mode, err);
		*slash = '/';
		if (r < 0)
			return r;
	}
	return make_dir(path, mode, err);
}

/*
 * Removing a tree of any depth with two descriptors and no recursion: a directory that is found
 * below a child of the top is moved up to be a child of the top itself. So nothing is ever deeper
 * than two levels below the descriptor that is held, and no ".." is followed.
 */
struct removal {
	DIR *top;
	unsigned int moved; /* names the next directory that moves up */
	bool removed_any;   /* in this pass */
	struct error *err;  /* the first failure */
	int result;
};

static void removal_fail(struct removal *removal, const char *name)
{
	if (removal->result == 0)
		removal->result = error_errno(removal->err, "cannot remove \"%s\"", name);
}

/* Opens the directory @name for reading; refuses a symbolic link and a mount. */
static DIR *open_below(int dirfd, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_BENEATH,
	};
	int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
	DIR *dir;

	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Moves the directory @name up to the top under a name that nothing is in the way of. An empty
 * directory of that name would be replaced: it was to go anyway. */
static int move_up(struct removal *removal, int from, const char *name)
{
	char new_name[32];
	int r;

	do {
		snprintf(new_name, sizeof(new_name), ".removed-%u", removal->moved++);
		r = renameat(from, name, dirfd(removal->top), new_name);
	} while (r < 0 && (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR));
	return r;
}

/* Empties a child of the top; what stays for a failure is noted. */
static void empty_child(struct removal *removal, DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		int fd = dirfd(dir);

		if (is_dots(entry->d_name))
			continue;
		if (unlinkat(fd, entry->d_name, 0) == 0 ||
		    (errno == EISDIR && unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0) ||
		    ((errno == ENOTEMPTY || errno == EEXIST) &&
		     move_up(removal, fd, entry->d_name) == 0))
			removal->removed_any = true;
		else if (errno != ENOENT)
			removal_fail(removal, entry->d_name);
	}
}

static void remove_child_directory(struct removal *removal, const char *name)
{
	int top = dirfd(removal->top);
	DIR *dir;

	if (unlinkat(top, name, AT_REMOVEDIR) == 0) {
		removal->removed_any = true;
		return;
	}
	dir = errno == ENOTEMPTY || errno == EEXIST ? open_below(top, name) : NULL;
	if (!dir) {
		removal_fail(removal, name);
		return;
	}
	empty_child(removal, dir);
	closedir(dir);
	if (unlinkat(top, name, AT_REMOVEDIR) == 0)
		removal->removed_any = true;
	else if (errno != ENOTEMPTY && errno != EEXIST) /* else the next pass finds the rest */
		removal_fail(removal, name);
}

/* One look at every child of the top: true if there was none. */
static bool remove_children(struct removal *removal)
{
	struct dirent *entry;
	bool empty = true;

	rewinddir(removal->top);
	while ((entry = readdir(removal->top))) {
		if (is_dots(entry->d_name))
			continue;
		empty = false;
		if (unlinkat(dirfd(removal->top), entry->d_name, 0) == 0)
			removal->removed_any = true;
		else if (errno == EISDIR)
			remove_child_directory(removal, entry->d_name);
		else if (errno != ENOENT)
			removal_fail(removal, entry->d_name);
	}
	return empty;
}

int file_open_parent(int dirfd, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	autofree char *parent = NULL;

	*name = slash ? slash + 1 : path;
	if (!slash)
		parent = mem_strdup(".");
	else
		parent = mem_printf("%.*s/", (int)(slash - path), path);
	return openat(dirfd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int file_remove_tree(int dirfd, const char *path, struct error *err)
{
	struct removal removal = { .err = err };
	const char *name;
	autoclose int parent = file_open_parent(dirfd, path, &name);
	bool empty;

	if ((parent < 0 && errno == ENOENT) || unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR)
		removal.top = open_below(parent, name);
	if (!removal.top)
		return error_errno(err, "cannot remove \"%s\"", path);
	do {
		removal.removed_any = false;
		empty = remove_children(&removal);
	} while (!empty && removal.removed_any);
	closedir(removal.top);
	if (removal.result < 0)
		return removal.result;
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_errno(err, "cannot remove \"%s\"", path);
	return 0;
}
