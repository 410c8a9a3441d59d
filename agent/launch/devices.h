/*
 * Device nodes and links in a container's /dev: the ones every container has (runtime-spec
 * config-linux.md, "Default Devices") and the spec's.
 */
#ifndef AGENT_DEVICES_H
#define AGENT_DEVICES_H

#include "proto/oci.pb-c.h"

struct error;

/* ERROR_UNIMPLEMENTED: /dev/kvm where the processor has no such thing, unless all devices are permitted
 * (proto/all_devices.h): then it is left out. */
int devices_check(const Grpc__Spec *spec, struct error *err);

/* In the root file system @root. A file that is there already is left as it is. */
int devices_make(int root, const Grpc__Spec *spec, struct error *err);

#endif
