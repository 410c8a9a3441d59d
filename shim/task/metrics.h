/*
 * What a container has used, from the guest's terms (the agent's StatsContainer) to those that
 * containerd's clients expect of this host: Metrics of cgroup v1 or v2. What only one of the two
 * kernels' interfaces knows is left out.
 */
#ifndef SHIM_METRICS_H
#define SHIM_METRICS_H

#include "proto/agent.pb-c.h"
#include "proto/google.pb-c.h"

enum metrics_version {
	METRICS_V1,
	METRICS_V2,
};

/* By what the host has mounted at /sys/fs/cgroup. */
enum metrics_version metrics_version_of_host(void);

/* Fills @out; its value is free()d by the caller. */
void metrics_encode(const Grpc__StatsContainerResponse *stats, enum metrics_version version,
                    Google__Protobuf__Any *out);

#endif
