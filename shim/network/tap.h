/*
 * A tap: a link whose other end are descriptors, one for each of its queues, which a VMM gets. It
 * is gone with the last of them. Each packet has a header (linux/virtio_net.h) that tells what is
 * still to be done of checksums and segmentation; which of them the guest can do is for the VMM to
 * say.
 */
#ifndef SHIM_TAP_H
#define SHIM_TAP_H

#include <net/if.h>

#include "common/cleanup.h"
#include "hypervisor/vm_device.h"

struct error;
struct netns;
struct tap;

#define TAP_QUEUES_MAX VM_DEVICE_QUEUES_MAX

/* In @netns, and down; the kernel chooses its name. @queues: one or more. */
int tap_create(const struct netns *netns, unsigned int queues, struct tap **out, struct error *err);
/* NULL is fine. The tap itself lives on while another process has a descriptor of it. */
void tap_destroy(struct tap *tap);

const char *tap_name(const struct tap *tap);
int tap_index(const struct tap *tap); /* of the link, in its namespace */
unsigned int tap_queues(const struct tap *tap);
int tap_fd(const struct tap *tap, unsigned int queue);

/* The VMM has its own: ours are closed, and the tap ends with the VMM. */
void tap_close_fds(struct tap *tap);

CLEANUP_DESTROY(tap)

#endif
