/*
 * What moves through the two virtqueues: the guest's packets to their flows, and the flows' packets
 * to the guest.
 */
#ifndef HYPERVISOR_VSOCK_TRAFFIC_H
#define HYPERVISOR_VSOCK_TRAFFIC_H

#include <stdbool.h>

struct device;

/* A share of the work that there is; true when there is more. */
bool traffic_run(struct device *device);

#endif
