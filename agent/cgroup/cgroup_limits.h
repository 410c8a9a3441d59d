/*
 * Converts the spec's resources, which are in cgroup v1's terms, to the files of cgroup v2. The
 * conversions are runc's, so that a container gets the same limits in a VM.
 */
#ifndef AGENT_CGROUP_LIMITS_H
#define AGENT_CGROUP_LIMITS_H

#include <stdint.h>

#include "proto/oci.pb-c.h"

struct error;

/*
 * ERROR_UNIMPLEMENTED for a limit that cgroup v2 does not have, ERROR_INVALID_ARGUMENT for a
 * contradictory one. Unset values (0, empty) are not checked: in proto3 they equal absent ones.
 */
int cgroup_limits_check(const Grpc__LinuxResources *resources, struct error *err);

/* Writes them to the cgroup @fd. ERROR_FAILED_PRECONDITION: the kernel lacks the controller. */
int cgroup_limits_write(int fd, const Grpc__LinuxResources *resources, struct error *err);

/* cpu.weight (1 to 10000) of v1's shares (2 to 262144), and io.weight of v1's weight (10 to 1000).
 */
uint64_t cgroup_cpu_weight(uint64_t shares);
uint64_t cgroup_io_weight(uint32_t weight);

#endif
