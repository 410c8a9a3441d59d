/*
 * The link of a network card that is known by its place on the PCI bus (pci_path.h).
 */
#ifndef AGENT_NETWORK_DEVICE_H
#define AGENT_NETWORK_DEVICE_H

#include <net/if.h>

struct error;

/*
 * @root: PCI_PATH_SYSFS. ERROR_NOT_FOUND: there is no card (yet), or no link of it;
 * ERROR_INVALID_ARGUMENT: @path is none.
 */
int network_device_find(const char *root, const char *path, char name[IFNAMSIZ], struct error *err);

#endif
