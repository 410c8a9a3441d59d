/*
 * The vsock device: flows between processes of the host and the guest, whose two virtqueues come
 * from the VMM by vhost-user.
 */
#ifndef HYPERVISOR_VSOCK_DEVICE_H
#define HYPERVISOR_VSOCK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "hypervisor/vsock/flow.h"
#include "hypervisor/vsock/source.h"
#include "hypervisor/vsock/vhost_user.h"

struct error;

#define DEVICE_BUCKETS       256 /* of the table of flows; a power of two */
#define DEVICE_FAREWELLS_MAX 256

LIST_HEAD(flow_list, flow);
TAILQ_HEAD(flow_queue, flow);

/* A last packet to the guest about a flow that is no more, or has never been. */
struct farewell {
	uint32_t host_port;
	uint32_t guest_port;
	uint32_t flags;
	uint16_t op;
	uint16_t type;
};

struct device {
	int epoll;
	uint64_t guest_cid;
	bool vmm_gone; /* no new flows; old ones hand on what they have */
	struct vhost_user vhost;
	int listener;
	struct source listener_source;
	struct flow_list flows;                 /* all of them, but those that have ended */
	struct flow_list table[DEVICE_BUCKETS]; /* by ports */
	struct flow_queue waiting;
	struct flow_queue ended;
	unsigned int host_flows;
	unsigned int guest_flows;
	uint32_t next_port;
	struct farewell farewells[DEVICE_FAREWELLS_MAX];
	unsigned int first_farewell;
	unsigned int farewell_count;
};

/* Takes both sockets over: the VMM's, and the one that processes connect to. */
int device_init(struct device *device, uint32_t guest_cid, int vmm, int listener,
                struct error *err);
void device_fini(struct device *device);                  /* ends all flows, closes all */
int device_run(struct device *device, struct error *err); /* returns when it cannot go on */
/* One round of it: what has happened, at most @timeout_ms away, is dealt with. Returns true when
 * there is work left that needs no waiting, or a negative errno. */
int device_step(struct device *device, int timeout_ms, struct error *err);

struct flow *device_find(struct device *device, uint32_t host_port, uint32_t guest_port);
void device_enter(struct device *device, struct flow *flow); /* into the table, by its ports */
uint32_t device_new_port(struct device *device, uint32_t guest_port);
void device_wake(struct flow *flow); /* it has something for the guest */
void device_unwake(struct flow *flow);

/* Dropped when there is no room: the guest is told when it speaks of the flow again. */
void device_farewell(struct device *device, const struct farewell *farewell);

#endif
