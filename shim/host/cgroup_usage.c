#include "shim/host/cgroup_usage.h"

#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "shim/host/cgroup_dir.h"
#include "shim/host/host_cgroup.h"

#define NS_PER_US 1000

/* A number of a file: of v1, or of v2, where it may count microseconds. */
struct figure {
	const char *controller;
	const char *file;
	const char *key; /* the line's first word; NULL: the file has nothing but the number */
	bool is_v2;
	uint64_t unit;
	size_t offset;
};

/* clang-format off */
#define V1(controller, file, key, member) \
	{ controller, file, key, false, 1, offsetof(struct cgroup_usage, member) }
#define V2(controller, file, key, unit, member) \
	{ controller, file, key, true, unit, offsetof(struct cgroup_usage, member) }

static const struct figure figures[] = {
	V1("cpuacct", "cpuacct.usage", NULL, cpu_ns),
	V1("cpuacct", "cpuacct.usage_user", NULL, cpu_user_ns),
	V1("cpuacct", "cpuacct.usage_sys", NULL, cpu_system_ns),
	V1("cpu", "cpu.stat", "nr_periods", periods),
	V1("cpu", "cpu.stat", "nr_throttled", throttled_periods),
	V1("cpu", "cpu.stat", "throttled_time", throttled_ns),
	V1("memory", "memory.usage_in_bytes", NULL, memory),
	V1("memory", "memory.max_usage_in_bytes", NULL, memory_max),
	V1("memory", "memory.limit_in_bytes", NULL, memory_limit),
	V1("memory", "memory.oom_control", "oom_kill", oom_kills),
	V1("pids", "pids.current", NULL, pids),
	V1("pids", "pids.max", NULL, pids_limit),
	V2("cpu", "cpu.stat", "usage_usec", NS_PER_US, cpu_ns),
	V2("cpu", "cpu.stat", "user_usec", NS_PER_US, cpu_user_ns),
	V2("cpu", "cpu.stat", "system_usec", NS_PER_US, cpu_system_ns),
	V2("cpu", "cpu.stat", "nr_periods", 1, periods),
	V2("cpu", "cpu.stat", "nr_throttled", 1, throttled_periods),
	V2("cpu", "cpu.stat", "throttled_usec", NS_PER_US, throttled_ns),
	V2("memory", "memory.current", NULL, 1, memory),
	V2("memory", "memory.peak", NULL, 1, memory_max),
	V2("memory", "memory.max", NULL, 1, memory_limit),
	V2("memory", "memory.events", "oom_kill", 1, oom_kills),
	V2("pids", "pids.current", NULL, 1, pids),
	V2("pids", "pids.max", NULL, 1, pids_limit),
};

/* Of memory.stat. v1 has another name for some. */
static const struct {
	const char *v2;
	const char *v1;
} memory_keys[CGROUP_USAGE_MEMORY] = {
	{ "anon", "total_rss" },
	{ "file", "total_cache" },
	{ "anon_thp", "total_rss_huge" },
	{ "shmem", "total_shmem" },
	{ "file_mapped", "total_mapped_file" },
	{ "file_dirty", "total_dirty" },
	{ "file_writeback", "total_writeback" },
	{ "pgfault", "total_pgfault" },
	{ "pgmajfault", "total_pgmajfault" },
	{ "inactive_anon", "total_inactive_anon" },
	{ "active_anon", "total_active_anon" },
	{ "inactive_file", "total_inactive_file" },
	{ "active_file", "total_active_file" },
	{ "unevictable", "total_unevictable" },
};
/* clang-format on */

static void read_figure(const struct host_cgroup *cgroup, const struct figure *figure,
                        struct cgroup_usage *out)
{
	bool is_v2;
	autofree char *dir = host_cgroup_dir(cgroup, figure->controller, &is_v2);
	uint64_t value;

	if (!dir || is_v2 != figure->is_v2 ||
	    cgroup_dir_read(dir, figure->file, figure->key, &value) < 0)
		return;
	if (value != UINT64_MAX)
		value *= figure->unit;
	memcpy((char *)out + figure->offset, &value, sizeof(value));
}

static void read_memory_stat(const struct host_cgroup *cgroup, struct cgroup_usage *out)
{
	bool is_v2;
	autofree char *dir = host_cgroup_dir(cgroup, "memory", &is_v2);

	for (size_t i = 0; i < CGROUP_USAGE_MEMORY; i++) {
		out->memory_stat[i].key = memory_keys[i].v2;
		if (dir)
			cgroup_dir_read(dir, "memory.stat",
			                is_v2 ? memory_keys[i].v2 : memory_keys[i].v1,
			                &out->memory_stat[i].value);
	}
}

void cgroup_usage_read(const struct host_cgroup *cgroup, struct cgroup_usage *out)
{
	*out = (struct cgroup_usage){ 0 };
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		read_figure(cgroup, &figures[i], out);
	read_memory_stat(cgroup, out);
	if (out->pids_limit == UINT64_MAX)
		out->pids_limit = 0;
}
