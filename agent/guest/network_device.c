#include "agent/guest/network_device.h"

#include <errno.h>
#include <stdio.h>

#include "agent/guest/pci_path.h"
#include "common/cleanup.h"
#include "common/error.h"

int network_device_find(const char *root, const char *path, char name[IFNAMSIZ], struct error *err)
{
	char found[NAME_MAX + 1];
	autoclose int link = pci_path_open(root, path, "net", found);

	if (link == -EINVAL)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid devicePath \"%s\"", path);
	if (link < 0)
		return error_set(err, ERROR_NOT_FOUND, "no network card at \"%s\"", path);
	snprintf(name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, found);
	return 0;
}
