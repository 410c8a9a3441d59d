/*
 * The link of a network card that is known by its place on the PCI bus, as upstream's agent takes it
 * (PciPath): the slots from the root bus on, in hexadecimal, "03/00", each with a function where that
 * is not 0, "03.1/00".
 */
#ifndef AGENT_NETWORK_DEVICE_H
#define AGENT_NETWORK_DEVICE_H

#include <net/if.h>

struct error;

#define NETWORK_DEVICE_SYSFS "/sys/devices/pci0000:00"

/*
 * @root: NETWORK_DEVICE_SYSFS. ERROR_NOT_FOUND: there is no card (yet), or no link of it;
 * ERROR_INVALID_ARGUMENT: @path is none.
 */
int network_device_find(const char *root, const char *path, char name[IFNAMSIZ], struct error *err);

#endif
