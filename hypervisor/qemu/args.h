/*
 * QEMU's command line: a pure function of what is below, by a table of one row per device.
 */
#ifndef HYPERVISOR_QEMU_ARGS_H
#define HYPERVISOR_QEMU_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm_device;

/* A device that is there from the start. */
struct qemu_device {
	const struct vm_device *device;
	int port; /* DEVICE_NO_PORT: on the root bus */
};

struct qemu_args {
	const char *vmm_path;
	bool kvm; /* else TCG */
	uint64_t memory_mib;
	uint64_t memory_max_mib; /* > memory_mib: room to plug memory into */
	unsigned int vcpus;
	unsigned int vcpus_max;
	bool reclaims_memory;      /* of vm_config.h */
	unsigned int tsc_khz;      /* of this host; 0: unknown */
	const char *kernel_params; /* appended to ours; may be NULL */
	int ports;                 /* root ports, for devices that come and go */
	const struct qemu_device *devices;
	size_t ndevices;
	/* Descriptors that QEMU inherits under the same numbers. */
	int memory_fd; /* of memory_mib */
	int kernel_fd;
	int initramfs_fd;
	int qmp_fd;
};

/* argv, ended by NULL: free() it. NULL: the path and the parameters are too long together. The
 * console is on stdout. */
char **qemu_args_build(const struct qemu_args *args);

#endif
