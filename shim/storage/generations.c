#include "shim/storage/generations.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"

#define DATA     "..data"
#define NEW_DIR  "..new"     /* of the copy: while it is made */
#define NEW_LINK "..newlink" /* the same of a link */

#define KEPT_S       5 /* an old generation stays: longer than the guest may believe a link */
#define DEPTH_MAX    32
#define ATTEMPTS_MAX 10
#define CHUNK        (1 << 20)

static bool is_hidden(const char *name)
{
	return name[0] == '.' && name[1] == '.';
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static DIR *open_entries(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);

	if (!entries && fd >= 0)
		close(fd);
	return entries;
}

static const char *next_name(DIR *entries)
{
	const struct dirent *entry;

	do
		entry = readdir(entries);
	while (entry && is_dots(entry->d_name));
	return entry ? entry->d_name : NULL;
}

static bool read_link(int dir, const char *name, char target[PATH_MAX])
{
	ssize_t n = readlinkat(dir, name, target, PATH_MAX - 1);

	target[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The name of the generation that counts. */
static bool read_generation(int dir, char name[PATH_MAX])
{
	return read_link(dir, DATA, name) && is_hidden(name) && !strchr(name, '/') &&
	       !is_dots(name) && strcmp(name, DATA) != 0 && strcmp(name, NEW_DIR) != 0;
}

static bool belongs(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (S_ISLNK(st.st_mode) || (S_ISDIR(st.st_mode) && is_hidden(name)));
}

bool generations_are_in(int dir)
{
	char generation[PATH_MAX];
	DIR *entries = read_generation(dir, generation) ? open_entries(dir) : NULL;
	bool all = entries;
	const char *name;

	while (all && (name = next_name(entries)))
		all = belongs(dir, name);
	if (entries)
		closedir(entries);
	return all;
}

/* In what follows a function returns -1 with errno. */
static int copy_attributes(const struct stat *st, int dir, const char *name)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (!S_ISLNK(st->st_mode) && fchmodat(dir, name, st->st_mode & 07777, 0) < 0)
		return -1;
	return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
}

static int copy_file(int from, int to, const char *name)
{
	autoclose int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	autoclose int out = -1;
	ssize_t n;

	if (in < 0)
		return -1;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return -1;
	do
		n = sendfile(out, in, NULL, CHUNK);
	while (n > 0);
	return n < 0 ? -1 : 0;
}

static int copy_link(int from, int to, const char *name, const char *as)
{
	char target[PATH_MAX];

	return read_link(from, name, target) ? symlinkat(target, to, as) : -1;
}

static int copy_tree(int from, int to, unsigned int depth);

static int copy_directory(int from, int to, const char *name, const char *as, unsigned int depth)
{
	autoclose int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int out = -1;
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0 || mkdirat(to, as, 0700) < 0)
		return -1;
	out = openat(to, as, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0 || copy_tree(in, out, depth + 1) < 0)
		return -1;
	return copy_attributes(&st, to, as);
}

/* What is neither file, directory nor link is left out: no kubelet makes it. */
static int copy_entry(int from, int to, const char *name, unsigned int depth)
{
	struct stat st;
	int r = 0;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		return copy_directory(from, to, name, name, depth);
	if (S_ISREG(st.st_mode))
		r = copy_file(from, to, name);
	else if (S_ISLNK(st.st_mode))
		r = copy_link(from, to, name, name);
	else
		return 0;
	return r < 0 ? r : copy_attributes(&st, to, name);
}

static int copy_tree(int from, int to, unsigned int depth)
{
	DIR *entries = open_entries(from);
	const char *name;
	int r = 0;

	if (!entries)
		return -1;
	if (depth > DEPTH_MAX) {
		errno = ELOOP;
		r = -1;
	}
	while (r == 0 && (name = next_name(entries)))
		r = copy_entry(from, to, name, depth);
	closedir(entries);
	return r;
}

/* Copies one that may be removed meanwhile: then the link has another target in the end. */
static int copy_generation(int from, int to, const char *name)
{
	char now[PATH_MAX];

	if (faccessat(to, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (file_remove_tree(to, NEW_DIR, NULL) < 0 ||
	    copy_directory(from, to, name, NEW_DIR, 0) < 0)
		return -1;
	if (!read_generation(from, now) || strcmp(now, name) != 0) {
		errno = ENOENT;
		return -1;
	}
	return renameat(to, NEW_DIR, to, name);
}

/* The kubelet's name of a generation says when it was made. Its change time is set to when it ceased
 * to count. */
static int publish(int to, const char *name)
{
	char old[PATH_MAX];
	struct stat st;

	if (read_generation(to, old) && strcmp(old, name) == 0)
		return 0;
	unlinkat(to, NEW_LINK, 0);
	if (symlinkat(name, to, NEW_LINK) < 0 || renameat(to, NEW_LINK, to, DATA) < 0)
		return -1;
	if (*old && fstatat(to, old, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return fchmodat(to, old, st.st_mode & 07777, 0);
	return 0;
}

static int follow_link(int from, int to, const char *name)
{
	char target[PATH_MAX], there[PATH_MAX];

	if (is_hidden(name) || !read_link(from, name, target) ||
	    (read_link(to, name, there) && strcmp(target, there) == 0))
		return 0;
	unlinkat(to, NEW_LINK, 0);
	return symlinkat(target, to, NEW_LINK) < 0 ? -1 : renameat(to, NEW_LINK, to, name);
}

static int drop_link(int from, int to, const char *name)
{
	char target[PATH_MAX];

	return is_hidden(name) || read_link(from, name, target) ? 0 : unlinkat(to, name, 0);
}

static int drop_generation(int from, int to, const char *name)
{
	char current[PATH_MAX];
	struct timespec now;
	struct stat st;

	if (!is_hidden(name) || (read_generation(to, current) && strcmp(name, current) == 0) ||
	    fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec - st.st_ctim.tv_sec <= KEPT_S)
		return 0;
	return file_remove_tree(to, name, NULL) < 0 ? -1 : 0;
}

static int for_each(int dir, int (*work)(int from, int to, const char *name), int from, int to)
{
	DIR *entries = open_entries(dir);
	const char *name;
	int r = 0;

	if (!entries)
		return -1;
	while (r == 0 && (name = next_name(entries)))
		r = work(from, to, name);
	closedir(entries);
	return r;
}

static int copy_all(int from, int to)
{
	char name[PATH_MAX];
	struct stat st;
	int r = -1;

	for (int i = 0; i < ATTEMPTS_MAX && r < 0; i++) {
		if (!read_generation(from, name)) {
			errno = ENOENT;
			return -1;
		}
		r = copy_generation(from, to, name);
		if (r < 0 && errno != ENOENT)
			return -1;
	}
	if (r < 0 || publish(to, name) < 0 || for_each(from, follow_link, from, to) < 0 ||
	    for_each(to, drop_link, from, to) < 0 || for_each(to, drop_generation, from, to) < 0 ||
	    fstatat(from, "", &st, AT_EMPTY_PATH) < 0)
		return -1;
	return copy_attributes(&st, to, ".");
}

int generations_copy(int from, int to, struct error *err)
{
	return copy_all(from, to) < 0 ? error_errno(err, "cannot copy a volume") : 0;
}
