/*
 * Whether the host's kernel has killed a process in the pod's cgroup for want of memory, and for
 * whose limit.
 */
#ifndef SHIM_CGROUP_OOM_H
#define SHIM_CGROUP_OOM_H

#include <stdbool.h>

struct error;
struct host_cgroup;

/* Then *@err says so: the cgroup, or the one above it with the smallest limit. NULL is fine. */
bool cgroup_oom_explain(const struct host_cgroup *cgroup, struct error *err);

#endif
