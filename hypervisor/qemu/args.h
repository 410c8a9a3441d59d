/*
 * QEMU's command line: a pure function of what is below, by a table of one row per device.
 */
#ifndef HYPERVISOR_QEMU_ARGS_H
#define HYPERVISOR_QEMU_ARGS_H

#include <stdbool.h>
#include <stdint.h>

struct qemu_args {
	const char *vmm_path;
	bool kvm; /* else TCG */
	uint64_t memory_mib;
	uint64_t memory_max_mib; /* > memory_mib: slots to plug memory into */
	unsigned int vcpus;
	unsigned int vcpus_max;
	unsigned int tsc_khz;      /* of this host; 0: unknown */
	const char *kernel_params; /* appended to ours; may be NULL */
	/* Descriptors that QEMU inherits under the same numbers. */
	int memory_fd; /* of memory_mib */
	int kernel_fd;
	int initramfs_fd;
	int qmp_fd;
	int share_fd; /* virtiofsd's vhost-user socket */
	int vsock_fd; /* the vsock device's */
};

/* argv, ended by NULL: free() it. NULL: the path and the parameters are too long together. The
 * console is on stdout. */
char **qemu_args_build(const struct qemu_args *args);

#endif
