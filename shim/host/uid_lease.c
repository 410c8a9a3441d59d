#include "shim/host/uid_lease.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define NAME_MAX_LEN 16 /* decimal digits of a uid */
#define DIR_TRIES    10 /* a sweep may remove the directory that was just made */

struct uid_lease {
	uid_t uid;
	int dirfd;
	int fd; /* locked */
};

static void name_of(uid_t uid, char name[NAME_MAX_LEN])
{
	snprintf(name, NAME_MAX_LEN, "%u", uid);
}

/* A lock counts only while the file it is on is the one that the name leads to. */
static bool is_still_there(int dirfd, const char *name, int fd)
{
	struct stat locked;
	struct stat named;

	return fstat(fd, &locked) == 0 && fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       locked.st_ino == named.st_ino;
}

/* Returns the locked descriptor, -EWOULDBLOCK when another has the lock, or another -errno. */
static int lock_file(int dirfd, const char *name, int flags)
{
	autoclose int fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return is_still_there(dirfd, name, fd) ? take_fd(&fd) : -EWOULDBLOCK;
}

/* A VMM whose shim was killed holds nothing any more, and may still be dying with its memory. */
static bool has_processes(uid_t uid)
{
	errno = 0;
	return getpriority(PRIO_USER, uid) != -1 || errno != ESRCH;
}

/* The same returns as those of lock_file(). */
static int take_one(int dirfd, uid_t uid)
{
	char name[NAME_MAX_LEN];
	int fd;

	name_of(uid, name);
	fd = lock_file(dirfd, name, O_CREAT);
	if (fd < 0 || !has_processes(uid))
		return fd;
	unlinkat(dirfd, name, 0); /* as in uid_lease_destroy() */
	close(fd);
	return -EWOULDBLOCK;
}

/* The search begins somewhere: most often the first try finds a free one. */
static int take_some(struct uid_lease *lease, uid_t first, unsigned int count)
{
	unsigned int start = (unsigned int)getpid() % count;

	for (unsigned int i = 0; i < count; i++) {
		uid_t uid = first + (start + i) % count;

		lease->fd = take_one(lease->dirfd, uid);
		if (lease->fd >= 0) {
			lease->uid = uid;
			return 0;
		}
		if (lease->fd != -EWOULDBLOCK)
			return lease->fd;
	}
	return -EWOULDBLOCK;
}

static int open_dir(struct uid_lease *lease, const char *dir)
{
	int r = file_make_dirs(dir, 0700, NULL);

	if (r < 0)
		return r;
	lease->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return lease->dirfd < 0 ? -errno : 0;
}

int uid_lease_take(const char *dir, uid_t first, unsigned int count, struct uid_lease **out,
                   struct error *err)
{
	int r = -ENOENT;

	for (int tries = 0; r == -ENOENT && tries < DIR_TRIES; tries++) {
		autodestroy(uid_lease) struct uid_lease *lease = mem_new(struct uid_lease);

		lease->dirfd = -1;
		lease->fd = -1;
		r = open_dir(lease, dir);
		if (r == 0)
			r = take_some(lease, first, count);
		if (r == 0)
			*out = take_ptr(&lease);
	}
	if (r == -EWOULDBLOCK)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "all %u user ids from %u on are in use (\"%s\")", count, first,
		                 dir);
	if (r < 0) {
		errno = -r;
		return error_errno(err, "cannot lease a user id in \"%s\"", dir);
	}
	return 0;
}

uid_t uid_lease_uid(const struct uid_lease *lease)
{
	return lease->uid;
}

void uid_lease_destroy(struct uid_lease *lease)
{
	char name[NAME_MAX_LEN];

	if (!lease)
		return;
	if (lease->fd >= 0) {
		name_of(lease->uid, name);
		unlinkat(lease->dirfd, name, 0); /* before the lock goes: nobody else's file */
		close(lease->fd);
	}
	if (lease->dirfd >= 0)
		close(lease->dirfd);
	free(lease);
}

void uid_lease_sweep(const char *dir)
{
	DIR *files = opendir(dir);
	struct dirent *entry;

	if (!files)
		return;
	while ((entry = readdir(files))) {
		autoclose int fd = -1;

		if (entry->d_type == DT_REG)
			fd = lock_file(dirfd(files), entry->d_name, 0);
		if (fd >= 0)
			unlinkat(dirfd(files), entry->d_name, 0);
	}
	closedir(files);
	rmdir(dir);
}
