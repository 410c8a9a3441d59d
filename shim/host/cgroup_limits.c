#include "shim/host/cgroup_limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"
#include "shim/host/cgroup_dir.h"
#include "shim/host/host_cgroup.h"

#define PERIOD_US      100000
#define QUOTA_MIN_US   1000
#define US_OF_MICROCPU 10 /* microcpus for a microsecond of the period */
#define SHARES_MIN     2
#define SHARES_MAX     262144
#define WEIGHT_RANGE   9999
#define VALUE_MAX      64

/* Writes the file of that name that the kernel's version has. @err has the first failure. */
static void put(const struct host_cgroup *cgroup, const char *controller, const char *v1,
                const char *v1_value, const char *v2, const char *v2_value, struct error *err)
{
	bool is_v2;
	autofree char *dir = host_cgroup_dir(cgroup, controller, &is_v2);
	struct error one;

	if (dir && cgroup_dir_write(dir, is_v2 ? v2 : v1, is_v2 ? v2_value : v1_value, &one) < 0 &&
	    !err->code)
		error_copy(err, &one);
}

/* Where the cgroup above has less, the kernel of v1 refuses more for one below: that one's holds. */
static void put_quota(const struct host_cgroup *cgroup, uint64_t micro_cpus, struct error *err)
{
	uint64_t us = micro_cpus / US_OF_MICROCPU;
	char v1[VALUE_MAX] = "-1", v2[VALUE_MAX] = "max";
	struct error quota = { 0 };

	if (us && us < INT64_MAX / PERIOD_US) {
		us = us < QUOTA_MIN_US ? QUOTA_MIN_US : us;
		snprintf(v1, sizeof(v1), "%" PRIu64, us);
		snprintf(v2, sizeof(v2), "%" PRIu64 " %d", us, PERIOD_US);
	}
	put(cgroup, "cpu", "cpu.cfs_quota_us", v1, "cpu.max", v2, &quota);
	if (quota.code && quota.code != ERROR_INVALID_ARGUMENT && !err->code)
		error_copy(err, &quota);
}

int cgroup_limits_write(const struct host_cgroup *cgroup, const struct cgroup_limits *limits,
                        struct error *err)
{
	char v1[VALUE_MAX] = "-1", v2[VALUE_MAX] = "max";

	err->code = ERROR_NONE;
	if (limits->memory && limits->memory < INT64_MAX) {
		snprintf(v1, sizeof(v1), "%" PRIu64, limits->memory);
		snprintf(v2, sizeof(v2), "%" PRIu64, limits->memory);
	}
	put(cgroup, "memory", "memory.limit_in_bytes", v1, "memory.max", v2, err);
	put_quota(cgroup, limits->micro_cpus, err);
	return err->code ? error_code_errno(err->code) : 0;
}

uint64_t cgroup_weight(uint64_t shares)
{
	if (shares < SHARES_MIN)
		shares = SHARES_MIN;
	if (shares > SHARES_MAX)
		shares = SHARES_MAX;
	return 1 + (shares - SHARES_MIN) * WEIGHT_RANGE / (SHARES_MAX - SHARES_MIN);
}

int cgroup_share_write(const struct host_cgroup *cgroup, const struct cgroup_share *share,
                       struct error *err)
{
	char v1[VALUE_MAX], v2[VALUE_MAX];

	err->code = ERROR_NONE;
	if (share->shares) {
		snprintf(v1, sizeof(v1), "%" PRIu64, share->shares);
		snprintf(v2, sizeof(v2), "%" PRIu64, cgroup_weight(share->shares));
		put(cgroup, "cpu", "cpu.shares", v1, "cpu.weight", v2, err);
	}
	if (share->cpus && *share->cpus)
		put(cgroup, "cpuset", "cpuset.cpus", share->cpus, "cpuset.cpus", share->cpus, err);
	if (share->mems && *share->mems)
		put(cgroup, "cpuset", "cpuset.mems", share->mems, "cpuset.mems", share->mems, err);
	return err->code ? error_code_errno(err->code) : 0;
}
