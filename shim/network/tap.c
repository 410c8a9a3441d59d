#include "shim/network/tap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/network/netns.h"

#define DEVICE        "/dev/net/tun"
#define NAME_TEMPLATE "tap%d_kata"

struct tap {
	char name[IFNAMSIZ];
	int index;
	unsigned int queues;
	int fds[TAP_QUEUES_MAX];
};

/* The first queue makes the link and gets its name, the others find it by that. */
static int open_queue(struct tap *tap, struct error *err)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	autoclose int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, "cannot open \"" DEVICE "\"");
	memcpy(request.ifr_name, tap->name, IFNAMSIZ);
	if (tap_queues(tap) > 1)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return error_errno(err, "cannot make a tap");
	memcpy(tap->name, request.ifr_name, IFNAMSIZ);
	return take_fd(&fd);
}

static int find_index(struct tap *tap, struct error *err)
{
	struct ifreq request = { 0 };
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(request.ifr_name, tap->name, IFNAMSIZ);
	if (fd < 0 || ioctl(fd, SIOCGIFINDEX, &request) < 0)
		return error_errno(err, "cannot find tap \"%s\"", tap->name);
	tap->index = request.ifr_ifindex;
	return 0;
}

static int make(void *ctx, struct error *err)
{
	struct tap *tap = ctx;

	memcpy(tap->name, NAME_TEMPLATE, sizeof(NAME_TEMPLATE));
	for (unsigned int i = 0; i < tap->queues; i++) {
		tap->fds[i] = open_queue(tap, err);
		if (tap->fds[i] < 0)
			return tap->fds[i];
	}
	return find_index(tap, err);
}

int tap_create(const struct netns *netns, unsigned int queues, struct tap **out, struct error *err)
{
	autodestroy(tap) struct tap *tap = mem_new(struct tap);
	int r;

	assert(queues >= 1 && queues <= TAP_QUEUES_MAX);
	tap->queues = queues;
	for (size_t i = 0; i < TAP_QUEUES_MAX; i++)
		tap->fds[i] = -1;
	r = netns_call(netns, make, tap, err);
	if (r < 0)
		return r;
	*out = take_ptr(&tap);
	return 0;
}

void tap_close_fds(struct tap *tap)
{
	for (size_t i = 0; i < TAP_QUEUES_MAX; i++)
		if (tap->fds[i] >= 0)
			close(take_fd(&tap->fds[i]));
}

void tap_destroy(struct tap *tap)
{
	if (!tap)
		return;
	tap_close_fds(tap);
	free(tap);
}

const char *tap_name(const struct tap *tap)
{
	return tap->name;
}

int tap_index(const struct tap *tap)
{
	return tap->index;
}

unsigned int tap_queues(const struct tap *tap)
{
	return tap->queues;
}

int tap_fd(const struct tap *tap, unsigned int queue)
{
	assert(queue < tap->queues);
	return tap->fds[queue];
}
