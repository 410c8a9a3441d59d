/*
 * A device of the guest that is known by its place on the PCI bus, as upstream's agent takes it
 * (PciPath): the slots from the root bus on, in hexadecimal, "03/00", each with a function where that
 * is not 0, "03.1/00". What the kernel calls it is found in sysfs, and told to nobody.
 */
#ifndef AGENT_PCI_PATH_H
#define AGENT_PCI_PATH_H

#include <limits.h>

#define PCI_PATH_SYSFS "/sys/devices/pci0000:00"

/*
 * Opens the directory that the device at @path has in @class ("net", "block"), directly or by a
 * virtio device, and tells its name. @root: PCI_PATH_SYSFS, or another for tests. -ENOENT: it is
 * not there (yet), or is nothing of that class; -EINVAL: @path is none.
 */
int pci_path_open(const char *root, const char *path, const char *class, char name[NAME_MAX + 1]);

#endif
