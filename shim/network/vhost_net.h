/*
 * vhost-net: the host's kernel moves a card's packets between its tap and the guest's memory, and
 * QEMU, which gets a descriptor for each queue, does not touch them.
 */
#ifndef SHIM_VHOST_NET_H
#define SHIM_VHOST_NET_H

struct error;

/* @fds: room for @n descriptors, which are the caller's. On failure there are none: this kernel may
 * be without it. */
int vhost_net_open(unsigned int n, int *fds, struct error *err);

#endif
