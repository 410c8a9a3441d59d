/*
 * What moves through the two virtqueues: the guest's packets to their flows, and the flows' packets
 * to the guest.
 */
#ifndef HYPERVISOR_VSOCK_TRAFFIC_H
#define HYPERVISOR_VSOCK_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

struct flow_table;
struct vhost_user;

enum vsock_queue {
	VSOCK_QUEUE_RX, /* to the guest */
	VSOCK_QUEUE_TX, /* from it */
};

/* Between what and what; all are the caller's. */
struct traffic {
	struct vhost_user *vhost;
	struct flow_table *table;
	uint64_t guest_cid;
};

/* A share of the work that there is; true when there is more. */
bool traffic_run(struct traffic *traffic);

#endif
