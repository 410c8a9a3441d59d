/*
 * Whether the device rules of a spec permit all devices. That is how clients say "privileged": then
 * linux.devices is whatever the host has below /dev, of which nobody has asked for any by name.
 */
#ifndef PROTO_ALL_DEVICES_H
#define PROTO_ALL_DEVICES_H

#include <stdbool.h>

#include "proto/oci.pb-c.h"

bool all_devices_are_permitted(const Grpc__LinuxResources *resources); /* NULL: false */

#endif
