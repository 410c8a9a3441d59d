/*
 * The spec's resources, which speak cgroup v1, in the knobs of cgroup v2. The conversions are
 * runc's, so that a container gets the same limits in a VM.
 */
#ifndef AGENT_CGROUP_LIMITS_H
#define AGENT_CGROUP_LIMITS_H

#include <stdint.h>

#include "proto/oci.pb-c.h"

struct error;

/*
 * ERROR_UNIMPLEMENTED for what cgroup v2 has no knob for, ERROR_INVALID_ARGUMENT for what makes no
 * sense. What is unset (0, empty) is not looked at: proto3 cannot tell it from absent.
 */
int cgroup_limits_check(const Grpc__LinuxResources *resources, struct error *err);

/* Writes them to the cgroup @fd. ERROR_FAILED_PRECONDITION: the kernel lacks the controller. */
int cgroup_limits_write(int fd, const Grpc__LinuxResources *resources, struct error *err);

/* cpu.weight (1 to 10000) of v1's shares (2 to 262144), and io.weight of v1's weight (10 to 1000).
 */
uint64_t cgroup_cpu_weight(uint64_t shares);
uint64_t cgroup_io_weight(uint32_t weight);

#endif
