/*
 * Limits of the pod's cgroup on the host: they come on top of those that the guest has for its
 * containers, for a guest that does not keep to them.
 */
#ifndef SHIM_CGROUP_LIMITS_H
#define SHIM_CGROUP_LIMITS_H

#include <stdint.h>

struct error;
struct host_cgroup;

struct cgroup_limits {
	uint64_t memory;     /* bytes; 0: no limit */
	uint64_t micro_cpus; /* the processors that may be used; 0: no limit */
};

struct cgroup_share {
	uint64_t shares;  /* as the runtime-spec has them, 1024 for one like others; 0: not said */
	const char *cpus; /* lists of numbers; NULL or "": not said, what was before stays */
	const char *mems;
};

/* All are written; the first that failed is in @err. A hierarchy that is not there is none. */
int cgroup_limits_write(const struct host_cgroup *cgroup, const struct cgroup_limits *limits,
                        struct error *err);
int cgroup_share_write(const struct host_cgroup *cgroup, const struct cgroup_share *share,
                       struct error *err);

/* As cgroup v2 has them, 1 to 10000 for 2 to 262144. */
uint64_t cgroup_weight(uint64_t shares);

#endif
