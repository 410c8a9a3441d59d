/*
 * vhost-user, the device's side (QEMU docs/interop/vhost-user.rst): on a Unix socket the VMM says
 * where the guest's memory and the virtqueues are, and hands over the eventfds for kicks and
 * interrupts. What the VMM sends is checked as what the guest does: it may have been taken over.
 */
#ifndef HYPERVISOR_VHOST_VHOST_USER_H
#define HYPERVISOR_VHOST_VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypervisor/vhost/guest_memory.h"
#include "hypervisor/vhost/source.h"
#include "hypervisor/vhost/vhost_message.h"
#include "hypervisor/vhost/virtqueue.h"

struct error;

#define VHOST_USER_QUEUES     2 /* each device here has as many */
#define VHOST_USER_CONFIG_MAX 16

struct vhost_user_ring {
	struct virtqueue vq; /* mapped while the ring runs: started and enabled */
	struct virtqueue_rings rings;
	uint16_t size;
	uint16_t base;
	bool started; /* it has its kick, and has not been stopped since */
	bool enabled;
	int kick; /* eventfds; -1: none */
	int call;
	int error;
	struct source kick_source;
};

struct vhost_user_ops {
	/* The guest's driver has started anew: it knows no connection of before. */
	void (*on_reset)(void *ctx);
	/* The last call: the VMM has closed its end (@err NULL) or broke the protocol. */
	void (*on_gone)(void *ctx, const struct error *err);
};

struct vhost_user {
	int epoll;
	int fd;
	struct source source;
	const struct vhost_user_ops *ops;
	void *ctx;
	const void *config; /* the device's configuration space; NULL: the VMM has it */
	size_t config_size; /* at most VHOST_USER_CONFIG_MAX */
	uint64_t features;  /* as agreed on */
	struct guest_memory memory;
	struct vhost_user_ring rings[VHOST_USER_QUEUES];
	struct vhost_message message; /* what has come of the next one */
};

/* Takes @fd over. Kicks need no callback: the owner of the loop checks the rings afterwards. */
int vhost_user_init(struct vhost_user *vhost, int epoll, int fd, const struct vhost_user_ops *ops,
                    void *ctx);
void vhost_user_fini(struct vhost_user *vhost); /* unmaps the guest's memory, closes all */

/* Shows the guest what was pushed, with an interrupt if it wants one. */
void vhost_user_publish(struct vhost_user *vhost, unsigned int which);
/* Tells the VMM that the queue is broken. */
void vhost_user_signal_error(struct vhost_user *vhost, unsigned int which);

#endif
