#include "agent/guest/uevent.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/mem.h"

#define KERNEL_GROUP  1 /* the multicast group of the kernel's own events */
#define EVENT_MAX     8192
#define EVENTS_A_TURN 64

struct uevents {
	struct ev_loop *loop;
	int fd; /* -1: there is none */
	ev_io readable;
	LIST_HEAD(uevent_subscriber_list, uevent_subscriber) subscribers;
};

static int open_socket(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
	autoclose int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return take_fd(&fd);
	log_warn("devices that are plugged later stay unseen cause=\"uevent socket: %s\"",
	         strerror(errno));
	return -1;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct uevents *uevents = watcher->data;
	struct uevent_subscriber *one;
	struct uevent_subscriber *next;
	char event[EVENT_MAX];

	/* A container with CAP_NET_ADMIN may send without an end: others have their turn. */
	for (int i = 0; i < EVENTS_A_TURN; i++)
		if (recv(uevents->fd, event, sizeof(event), MSG_DONTWAIT) <= 0 && errno != ENOBUFS)
			break;
	for (one = LIST_FIRST(&uevents->subscribers); one; one = next) {
		next = LIST_NEXT(one, link);
		one->on_change(one->ctx);
	}
}

struct uevents *uevents_create(struct ev_loop *loop)
{
	struct uevents *uevents = mem_new(struct uevents);

	uevents->loop = loop;
	uevents->fd = open_socket();
	LIST_INIT(&uevents->subscribers);
	ev_io_init(&uevents->readable, on_readable, uevents->fd, EV_READ);
	uevents->readable.data = uevents;
	if (uevents->fd >= 0)
		ev_io_start(loop, &uevents->readable);
	return uevents;
}

void uevents_destroy(struct uevents *uevents)
{
	if (!uevents)
		return;
	assert(LIST_EMPTY(&uevents->subscribers));
	ev_io_stop(uevents->loop, &uevents->readable);
	cleanup_close(&uevents->fd);
	free(uevents);
}

void uevents_subscribe(struct uevents *uevents, struct uevent_subscriber *subscriber)
{
	LIST_INSERT_HEAD(&uevents->subscribers, subscriber, link);
}

void uevents_leave(struct uevent_subscriber *subscriber)
{
	LIST_REMOVE(subscriber, link);
}
