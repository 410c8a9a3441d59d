/*
 * A device of a virtual machine: on the VMM's command line, or plugged into a machine that runs.
 * What it is on the host is an open descriptor, since the VMM may open nothing by name.
 */
#ifndef HYPERVISOR_VM_DEVICE_H
#define HYPERVISOR_VM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum vm_device_kind {
	VM_DEVICE_SHARE, /* a directory of the host; @fd: virtiofsd's vhost-user socket */
	VM_DEVICE_VSOCK, /* @fd: the vsock device's vhost-user socket */
	VM_DEVICE_NIC,   /* a network card; @fd: a tap */
	VM_DEVICE_DISK,  /* @fd: a regular file or a block device; the disk is read-only if it is */
	VM_DEVICE_MEMORY, /* memory beside the machine's own; @fd: a memfd of @size_mib */
};

#define VM_DEVICE_KINDS      (VM_DEVICE_MEMORY + 1)
#define VM_DEVICE_ID_MAX     31 /* bytes */
#define VM_DEVICE_PATH_MAX   16
#define VM_DEVICE_SERIAL_MAX 20 /* linux/virtio_blk.h: VIRTIO_BLK_ID_BYTES */
#define VM_DEVICE_QUEUES_MAX 16
#define VM_DEVICE_FDS_MAX    32 /* two for each queue */

/* Strings and descriptors are the caller's. */
struct vm_device {
	enum vm_device_kind kind;
	const char *id; /* of this machine's devices no other has it: a letter, then letters, digits
	                   and '-' */
	int fd;
	const char *tag;     /* of a share: what the guest mounts it by */
	uint8_t mac[6];      /* of a network card */
	unsigned int queues; /* the same, at most VM_DEVICE_QUEUES_MAX; 0 is 1 */
	bool vhost;          /* the same: the host's kernel moves its packets */
	/* The same: its tap for each queue but the first, and then, with @vhost, /dev/vhost-net
	 * for each queue. */
	int more_fds[VM_DEVICE_FDS_MAX - 1];
	const char *serial;     /* of a disk: what the guest knows it by; NULL: none */
	uint64_t size_mib;      /* of memory: the most that it can become */
	uint64_t requested_mib; /* of memory: how much of it the guest is given */
};

unsigned int vm_device_queues(const struct vm_device *device);

/* All of its descriptors: @fd, then @more_fds. */
size_t vm_device_count_fds(const struct vm_device *device);
int vm_device_fd(const struct vm_device *device, size_t i);

/* All but the descriptors, which the copy does not have. */
void vm_device_copy(const struct vm_device *from, struct vm_device *to);
/* Gives the copy duplicates of the descriptors; on failure it has none. */
int vm_device_dup_fds(const struct vm_device *from, struct vm_device *to, struct error *err);
/* Both of a copy. */
void vm_device_close_fds(struct vm_device *device);
void vm_device_fini(struct vm_device *device);

#endif
