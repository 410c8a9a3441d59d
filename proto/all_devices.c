#include "proto/all_devices.h"

#include <string.h>

#define ANY (-1)

bool all_devices_are_permitted(const Grpc__LinuxResources *resources)
{
	for (size_t i = 0; resources && i < resources->n_devices; i++) {
		const Grpc__LinuxDeviceCgroup *rule = resources->devices[i];

		if (rule->allow && (!*rule->type || !strcmp(rule->type, "a")) &&
		    rule->major == ANY && rule->minor == ANY && strchr(rule->access, 'r') &&
		    strchr(rule->access, 'w'))
			return true;
	}
	return false;
}
