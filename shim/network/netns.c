#include "shim/network/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/error.h"
#include "common/mem.h"

#define OWN "/proc/thread-self/ns/net"

struct netns {
	int fd;
	struct stat stat; /* which one it is: by device and inode (namespaces(7)) */
};

static int open_own(struct error *err)
{
	int fd = open(OWN, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? error_errno(err, "cannot open \"" OWN "\"") : fd;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static struct netns *netns_new(int fd)
{
	struct netns *netns = mem_new(struct netns);

	netns->fd = fd;
	if (fstat(fd, &netns->stat) < 0)
		abort(); /* of an open descriptor: never */
	return netns;
}

/* Opens for reading what is a namespace, and nothing else: the opening of a device has effects, and
 * that of a FIFO waits. */
static int open_namespace(const char *path, struct error *err)
{
	autoclose int place = open(path, O_PATH | O_CLOEXEC);
	autofree char *link = mem_printf("/proc/self/fd/%d", place);
	struct statfs fs;
	int fd;

	if (place < 0)
		return error_errno(err, "cannot open \"%s\"", path);
	if (fstatfs(place, &fs) < 0)
		return error_errno(err, "cannot look at \"%s\"", path);
	if (fs.f_type != NSFS_MAGIC)
		return error_set(err, ERROR_INVALID_ARGUMENT, "\"%s\": not a namespace", path);
	fd = open(link, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_errno(err, "cannot open \"%s\"", path) : fd;
}

static int open_any(const char *path, struct netns **out, struct error *err)
{
	autoclose int fd = open_namespace(path, err);

	if (fd < 0)
		return fd;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return error_set(err, ERROR_INVALID_ARGUMENT, "\"%s\": not a network namespace",
		                 path);
	*out = netns_new(take_fd(&fd));
	return 0;
}

int netns_open(const char *path, struct netns **out, struct error *err)
{
	autodestroy(netns) struct netns *netns = NULL;
	autoclose int own = -1;
	struct stat own_stat;
	int r = open_any(path, &netns, err);

	if (!netns)
		return r;
	own = open_own(err);
	if (own < 0)
		return own;
	if (fstat(own, &own_stat) == 0 && is_same(&netns->stat, &own_stat))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "\"%s\": the host's network: not supported", path);
	*out = take_ptr(&netns);
	return 0;
}

/* As runc does where the spec names no path. */
static int bring_up_loopback(struct error *err)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return error_errno(err, "cannot set \"lo\" up");
	return 0;
}

static void enter(int fd)
{
	if (setns(fd, CLONE_NEWNET) < 0)
		abort();
}

int netns_make(struct netns **out, struct error *err)
{
	autodestroy(netns) struct netns *netns = NULL;
	autoclose int own = open_own(err);
	int r, fd;

	if (own < 0)
		return own;
	if (unshare(CLONE_NEWNET) < 0)
		return error_errno(err, "cannot make a network namespace");
	r = bring_up_loopback(err);
	fd = r < 0 ? r : open_own(err);
	enter(own);
	if (fd < 0)
		return fd;
	*out = netns_new(fd);
	return 0;
}

void netns_destroy(struct netns *netns)
{
	if (!netns)
		return;
	close(netns->fd);
	free(netns);
}

int netns_fd(const struct netns *netns)
{
	return netns->fd;
}

int netns_check(const struct netns *netns, const char *path, struct error *err)
{
	autodestroy(netns) struct netns *other = NULL;
	int r = open_any(path, &other, err);

	if (!other)
		return r;
	if (!is_same(&netns->stat, &other->stat))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "\"%s\": not the pod's network namespace: not supported", path);
	return 0;
}

int netns_call(const struct netns *netns, netns_fn *fn, void *ctx, struct error *err)
{
	autoclose int own = open_own(err);
	int r;

	if (own < 0)
		return own;
	if (setns(netns->fd, CLONE_NEWNET) < 0)
		return error_errno(err, "cannot enter the network namespace");
	r = fn(ctx, err);
	enter(own);
	return r;
}
