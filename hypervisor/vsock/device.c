#include "hypervisor/vsock/device.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/vsock/say.h"
#include "hypervisor/vsock/traffic.h"

#define EVENTS_MAX 64

/* The host's ports are taken upwards from here: no port that anybody listens on, and positive as
 * an int32 too. */
#define PORT_FIRST 0x60000000U
#define PORT_LAST  0x7fffffffU

static struct flow_list *bucket(struct device *device, uint32_t host_port, uint32_t guest_port)
{
	uint32_t hash = (host_port ^ (guest_port * 2654435761U)) * 2654435761U;

	return &device->table[hash >> 24 & (DEVICE_BUCKETS - 1)];
}

struct flow *device_find(struct device *device, uint32_t host_port, uint32_t guest_port)
{
	struct flow *flow;

	LIST_FOREACH (flow, bucket(device, host_port, guest_port), in_table)
		if (flow->connection.host_port == host_port &&
		    flow->connection.guest_port == guest_port)
			return flow;
	return NULL;
}

void device_enter(struct device *device, struct flow *flow)
{
	struct connection *connection = &flow->connection;

	LIST_INSERT_HEAD(bucket(device, connection->host_port, connection->guest_port), flow,
	                 in_table);
}

uint32_t device_new_port(struct device *device, uint32_t guest_port)
{
	do {
		if (device->next_port < PORT_FIRST || device->next_port > PORT_LAST)
			device->next_port = PORT_FIRST;
		device->next_port++;
	} while (device_find(device, device->next_port - 1, guest_port));
	return device->next_port - 1;
}

void device_wake(struct flow *flow)
{
	if (!flow->waiting)
		TAILQ_INSERT_TAIL(&flow->device->waiting, flow, in_list);
	flow->waiting = true;
}

void device_unwake(struct flow *flow)
{
	if (flow->waiting)
		TAILQ_REMOVE(&flow->device->waiting, flow, in_list);
	flow->waiting = false;
}

void device_farewell(struct device *device, const struct farewell *farewell)
{
	unsigned int at = device->first_farewell + device->farewell_count;

	if (device->farewell_count == DEVICE_FAREWELLS_MAX)
		return;
	device->farewells[at % DEVICE_FAREWELLS_MAX] = *farewell;
	device->farewell_count++;
}

/* Ends the guest's side of all flows; those it has not heard of may stay. */
static void abandon_flows(struct device *device, const char *why, bool all)
{
	struct flow *flow = LIST_FIRST(&device->flows);

	while (flow) {
		struct flow *next = LIST_NEXT(flow, in_flows);
		bool unknown = flow->connection.due & (1U << VIRTIO_VSOCK_OP_REQUEST);

		if (all || !unknown)
			flow_abandon(flow, why);
		flow = next;
	}
	device->farewell_count = 0;
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
	device->vmm_gone = true;
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
		flow_accept(device, fd);
}

int device_init(struct device *device, uint32_t guest_cid, int vmm, int listener, struct error *err)
{
	int r;

	*device = (struct device){ .guest_cid = guest_cid, .listener = listener };
	TAILQ_INIT(&device->waiting);
	TAILQ_INIT(&device->ended);
	device->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (device->epoll < 0)
		return error_errno(err, "epoll_create1");
	r = source_add(&device->listener_source, device->epoll, listener, EPOLLIN, on_listener);
	if (r < 0)
		return error_errno(err, "watch the listening socket");
	r = vhost_user_init(&device->vhost, device->epoll, vmm, guest_cid, &vhost_ops, device);
	if (r < 0)
		return error_errno(err, "watch the VMM's socket");
	return 0;
}

static void free_ended(struct device *device)
{
	struct flow *flow;

	while ((flow = TAILQ_FIRST(&device->ended))) {
		TAILQ_REMOVE(&device->ended, flow, in_list);
		free(flow);
	}
}

void device_fini(struct device *device)
{
	struct flow *flow;

	while ((flow = LIST_FIRST(&device->flows)))
		flow_end(flow);
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
		return error_errno(err, "epoll_wait");
	for (int i = 0; i < n; i++) {
		struct source *source = events[i].data.ptr;

		if (source->fd >= 0) /* an event before may have removed it */
			source->on_event(source, events[i].events);
	}
	more = traffic_run(device);
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
