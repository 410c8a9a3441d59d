#include "hypervisor/vsock/device.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/vhost/say.h"
#include "hypervisor/vsock/flow.h"

#define EVENTS_MAX 64

/* Ends the guest's side of all flows; those it has not heard of may stay. */
static void abandon_flows(struct device *device, const char *why, bool all)
{
	struct flow_link *link = LIST_FIRST(&device->table.flows);

	while (link) {
		struct flow_link *next = LIST_NEXT(link, in_flows);
		bool unknown = link->connection->due & (1U << VIRTIO_VSOCK_OP_REQUEST);

		if (all || !unknown)
			flow_abandon(flow_of_link(link), why);
		link = next;
	}
	device->table.farewell_count = 0;
}

static void on_guest_reset(void *ctx)
{
	abandon_flows(ctx, "the guest has restarted", false);
}

/* The process stays: its owner ends it, when it has no use any more for what the guest has sent. */
static void on_vmm_gone(void *ctx, const struct error *err)
{
	struct device *device = ctx;

	if (err)
		say("%s", err->text);
	device->table.closed = true;
	vhost_user_fini(&device->vhost);
	abandon_flows(device, "the virtual machine has gone", true);
}

static const struct vhost_user_ops vhost_ops = {
	.on_reset = on_guest_reset,
	.on_gone = on_vmm_gone,
};

static void on_listener(struct source *source, uint32_t events)
{
	struct device *device = source_owner(source, struct device, listener_source);
	int fd = accept4(device->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		flow_accept(&device->table, fd);
}

int device_init(struct device *device, uint32_t guest_cid, int vmm, int listener, struct error *err)
{
	int r;

	*device = (struct device){ .listener = listener };
	device->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (device->epoll < 0)
		return error_errno(err, "cannot make an epoll instance");
	flow_table_init(&device->table, device->epoll);
	device->traffic = (struct traffic){ &device->vhost, &device->table, guest_cid };
	r = source_add(&device->listener_source, device->epoll, listener, EPOLLIN, on_listener);
	if (r < 0)
		return error_errno(err, "cannot watch the listening socket");
	r = vhost_user_init(&device->vhost, device->epoll, vmm, &vhost_ops, device);
	device->config.guest_cid = guest_cid;
	device->vhost.config = &device->config;
	device->vhost.config_size = sizeof(device->config);
	if (r < 0)
		return error_errno(err, "cannot watch the VMM's socket");
	return 0;
}

static void free_ended(struct device *device)
{
	struct flow_link *link;

	while ((link = TAILQ_FIRST(&device->table.ended))) {
		TAILQ_REMOVE(&device->table.ended, link, in_list);
		free(flow_of_link(link));
	}
}

void device_fini(struct device *device)
{
	struct flow_link *link;

	while ((link = LIST_FIRST(&device->table.flows)))
		flow_end(flow_of_link(link));
	free_ended(device);
	vhost_user_fini(&device->vhost);
	close(device->listener);
	close(device->epoll);
}

int device_step(struct device *device, int timeout_ms, struct error *err)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(device->epoll, events, EVENTS_MAX, timeout_ms);
	bool more;

	if (n < 0 && errno != EINTR)
		return error_errno(err, "cannot wait for events");
	for (int i = 0; i < n; i++) {
		struct source *source = events[i].data.ptr;

		if (source->fd >= 0) /* an event before may have removed it */
			source->on_event(source, events[i].events);
	}
	more = traffic_run(&device->traffic);
	free_ended(device);
	return more;
}

int device_run(struct device *device, struct error *err)
{
	int more = 0;

	while (more >= 0)
		more = device_step(device, more ? 0 : -1, err);
	return more;
}
