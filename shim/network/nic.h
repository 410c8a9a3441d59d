/*
 * A network card of the guest and the link of the pod's namespace that it stands for, joined by a
 * tap. The link stays the namespace's: when the card goes, the link looks as before.
 */
#ifndef SHIM_NIC_H
#define SHIM_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"

struct error;
struct net_link;
struct net_socket;
struct netns;
struct nic;
struct vm_device;

/* 0: no limit. */
struct nic_config {
	const char *pod; /* its name, which the tap's alias tells: network_sweep(); NULL: none */
	unsigned int queues;    /* one for each vCPU is enough */
	bool vhost;             /* if the host's kernel has it */
	bool comes_late;        /* none is there when the machine starts */
	uint64_t rx_bits_per_s; /* what the guest receives */
	uint64_t tx_bits_per_s; /* what it sends */
};

/* @socket is in @netns, and outlives the card; @link is copied. On failure nothing is left. */
int nic_create(const struct netns *netns, struct net_socket *socket, const struct net_link *link,
               const struct nic_config *config, struct nic **out, struct error *err);
/* NULL is fine. The VMM has let go of its card. */
void nic_destroy(struct nic *nic);

const char *nic_id(const struct nic *nic);              /* of the device */
const struct net_link *nic_link(const struct nic *nic); /* as it was when the card was made */
int nic_tap_index(const struct nic *nic);
bool nic_has_vhost(const struct nic *nic);

/* What vm_start() or vm_plug() are given: what it points to is the card's. */
void nic_device(const struct nic *nic, struct vm_device *out);

/* The VMM has descriptors of its own now. */
void nic_close_fds(struct nic *nic);

CLEANUP_DESTROY(nic)

#endif
