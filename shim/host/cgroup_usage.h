/*
 * What the processes in the pod's cgroup on the host have used, VMM and helpers together: what its
 * containers use is the guest's to say. A figure that the host does not keep is 0.
 */
#ifndef SHIM_CGROUP_USAGE_H
#define SHIM_CGROUP_USAGE_H

#include <stddef.h>
#include <stdint.h>

struct host_cgroup;

#define CGROUP_USAGE_MEMORY 14

struct cgroup_usage {
	uint64_t cpu_ns;
	uint64_t cpu_user_ns;
	uint64_t cpu_system_ns;
	uint64_t periods; /* of a quota */
	uint64_t throttled_periods;
	uint64_t throttled_ns;
	uint64_t memory; /* bytes */
	uint64_t memory_max;
	uint64_t memory_limit; /* UINT64_MAX: none */
	uint64_t oom_kills;
	uint64_t pids;
	uint64_t pids_limit; /* 0: none */
	/* As cgroup v2's memory.stat names them. */
	struct {
		const char *key;
		uint64_t value;
	} memory_stat[CGROUP_USAGE_MEMORY];
};

/* Of the whole of it, as far as it is there; NULL is fine: all 0. */
void cgroup_usage_read(const struct host_cgroup *cgroup, struct cgroup_usage *out);

#endif
