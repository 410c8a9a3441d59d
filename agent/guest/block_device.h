/*
 * A disk of the guest, which is known by its place on the PCI bus (pci_path.h): its name, /dev/vdb,
 * depends on the order in which the kernel has found its disks.
 */
#ifndef AGENT_BLOCK_DEVICE_H
#define AGENT_BLOCK_DEVICE_H

#include <sys/types.h>

struct error;

#define BLOCK_DEVICE_NODE_MAX 64

struct block_device {
	char node[BLOCK_DEVICE_NODE_MAX]; /* of the guest's own /dev, which no container changes */
	dev_t number;
};

/*
 * @root: PCI_PATH_SYSFS. ERROR_NOT_FOUND: there is no disk (yet), or no node of it;
 * ERROR_INVALID_ARGUMENT: @path is none.
 */
int block_device_find(const char *root, const char *path, struct block_device *out,
                      struct error *err);

#endif
