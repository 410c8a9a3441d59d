#include "shim/host/pod_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "shim/host/host_cgroup.h"

#define ID_FILE "id"
#define LOOK_MS 10

static int root_open(const char *root, struct error *err)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_errno(err, "cannot open \"%s\"", root) : fd;
}

int pod_dir_lock(const char *root, struct error *err)
{
	autoclose int fd = -1;
	int r;

	r = file_make_dirs(root, 0700, err);
	if (r < 0)
		return r;
	fd = root_open(root, err);
	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return error_errno(err, "cannot lock \"%s\"", root);
	return take_fd(&fd);
}

/* A lock of the open file (fcntl(2), "Open file description locks"), which a directory can have for
 * reading only; unlike that of flock(2) it can be asked for without being taken. */
static struct flock whole_file_lock(short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET };
}

int pod_dir_hold(const char *path, struct error *err)
{
	autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct flock lock = whole_file_lock(F_RDLCK);

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return error_errno(err, "cannot lock \"%s\"", path);
	return take_fd(&fd);
}

bool pod_dir_is_held(const char *root, const char *pod)
{
	autofree char *path = mem_printf("%s/%s", root, pod);
	autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct flock lock = whole_file_lock(F_WRLCK);

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool pod_dir_wait(const char *root, const char *pod, int timeout_ms)
{
	const struct timespec look = { .tv_nsec = LOOK_MS * 1000000L };

	for (int waited = 0; pod_dir_is_held(root, pod); waited += LOOK_MS) {
		if (waited >= timeout_ms)
			return false;
		nanosleep(&look, NULL);
	}
	return true;
}

static int write_id(int dirfd, const char *ns, const char *id, struct error *err)
{
	autofree char *text = mem_printf("%s/%s\n", ns, id);

	return file_write(dirfd, ID_FILE, 0600, text, strlen(text), err);
}

int pod_dir_make(const char *root, const char *pod, const char *ns, const char *id, char **path,
                 struct error *err)
{
	autofree char *made = mem_printf("%s/%s", root, pod);
	autoclose int fd = -1;
	int r;

	r = pod_dir_remove(root, pod, err);
	if (r < 0)
		return r;
	if (mkdir(made, 0700) < 0)
		return error_errno(err, "cannot make directory \"%s\"", made);
	fd = open(made, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? error_errno(err, "cannot open \"%s\"", made) : write_id(fd, ns, id, err);
	if (r == 0 && mkdirat(fd, POD_DIR_EMPTY, 0700) < 0)
		r = error_errno(err, "cannot make directory \"%s/" POD_DIR_EMPTY "\"", made);
	if (r < 0) {
		pod_dir_remove(root, pod, NULL);
		return r;
	}
	*path = take_ptr(&made);
	return 0;
}

int pod_dir_remove(const char *root, const char *pod, struct error *err)
{
	autoclose int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	autofree char *path = mem_printf("%s/%s", root, pod);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, "cannot open \"%s\"", root);
	r = host_cgroup_remove(path, err);
	if (r < 0) {
		file_remove_tree(fd, pod, NULL);
		return r;
	}
	if (file_remove_tree(fd, pod, err) < 0)
		return error_wrap(err, "cannot remove \"%s/%s\"", root, pod);
	return 0;
}
