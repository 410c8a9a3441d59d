/*
 * The vsock device: flows between processes of the host and the guest, whose two virtqueues come
 * from the VMM by vhost-user.
 */
#ifndef HYPERVISOR_VSOCK_DEVICE_H
#define HYPERVISOR_VSOCK_DEVICE_H

#include <linux/virtio_vsock.h>
#include <stdint.h>

#include "hypervisor/vhost/source.h"
#include "hypervisor/vhost/vhost_user.h"
#include "hypervisor/vsock/flow_table.h"
#include "hypervisor/vsock/traffic.h"

struct error;

struct device {
	int epoll;
	struct vhost_user vhost;
	struct virtio_vsock_config config;
	int listener;
	struct source listener_source;
	struct flow_table table;
	struct traffic traffic;
};

/* Takes both sockets over: the VMM's, and the one that processes connect to. */
int device_init(struct device *device, uint32_t guest_cid, int vmm, int listener,
                struct error *err);
void device_fini(struct device *device);                  /* ends all flows, closes all */
int device_run(struct device *device, struct error *err); /* returns when it cannot go on */
/* One round of it: what has happened, at most @timeout_ms away, is dealt with. Returns true when
 * there is work left that needs no waiting, or a negative errno. */
int device_step(struct device *device, int timeout_ms, struct error *err);

#endif
