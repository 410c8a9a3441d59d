#include "shim/task/metrics.h"

#include <linux/magic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/vfs.h>

#include "common/mem.h"
#include "proto/message.h"
#include "proto/metrics_v1.pb-c.h"
#include "proto/metrics_v2.pb-c.h"

#define CGROUP_MOUNT "/sys/fs/cgroup"
#define NS_PER_US    1000
#define IO_MAX       1024 /* entries of one kind that are looked at: the guest is not trusted */

typedef Io__Containerd__Cgroups__V1__Metrics MetricsV1;
typedef Io__Containerd__Cgroups__V1__MemoryStat MemoryV1;
typedef Io__Containerd__Cgroups__V2__Metrics MetricsV2;
typedef Io__Containerd__Cgroups__V2__MemoryStat MemoryV2;
typedef Io__Containerd__Cgroups__V2__MemoryEvents EventsV2;

enum metrics_version metrics_version_of_host(void)
{
	struct statfs fs;

	if (statfs(CGROUP_MOUNT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
		return METRICS_V2;
	return METRICS_V1;
}

/* A new message, all unset. */
static void *message_new(const ProtobufCMessageDescriptor *type)
{
	void *message = mem_alloc(type->sizeof_message);

	protobuf_c_message_init(type, message);
	return message;
}

/* For a repeated field of @n messages. */
static void *list_new(size_t n)
{
	return mem_alloc(n * sizeof(void *));
}

/*
 * memory.stat: the keys that the guest's kernel writes, and where they go: in v1 twice, as there a
 * cgroup's own and its sum with its children are told apart. 0: nowhere.
 */
struct memory_key {
	const char *key;
	size_t v1;
	size_t v1_total;
	size_t v2;
};

#define V1(member) offsetof(MemoryV1, member), offsetof(MemoryV1, total_##member)
#define V2(member) offsetof(MemoryV2, member)
#define ONLY_V2(key)                                                                               \
	{                                                                                          \
#key, 0, 0, V2(key)                                                                \
	}

/* clang-format off */
static const struct memory_key memory_keys[] = {
	{ "anon", V1(rss), V2(anon) },
	{ "file", V1(cache), V2(file) },
	{ "anon_thp", V1(rss_huge), V2(anon_thp) },
	{ "file_mapped", V1(mapped_file), V2(file_mapped) },
	{ "file_dirty", V1(dirty), V2(file_dirty) },
	{ "file_writeback", V1(writeback), V2(file_writeback) },
	{ "pgfault", V1(pg_fault), V2(pgfault) },
	{ "pgmajfault", V1(pg_maj_fault), V2(pgmajfault) },
	{ "inactive_anon", V1(inactive_anon), V2(inactive_anon) },
	{ "active_anon", V1(active_anon), V2(active_anon) },
	{ "inactive_file", V1(inactive_file), V2(inactive_file) },
	{ "active_file", V1(active_file), V2(active_file) },
	{ "unevictable", V1(unevictable), V2(unevictable) },
	ONLY_V2(kernel_stack),
	ONLY_V2(slab),
	ONLY_V2(sock),
	ONLY_V2(shmem),
	ONLY_V2(slab_reclaimable),
	ONLY_V2(slab_unreclaimable),
	{ "workingset_refault_file", 0, 0, V2(workingset_refault) },
	{ "workingset_activate_file", 0, 0, V2(workingset_activate) },
	ONLY_V2(workingset_nodereclaim),
	ONLY_V2(pgrefill),
	ONLY_V2(pgscan),
	ONLY_V2(pgsteal),
	ONLY_V2(pgactivate),
	ONLY_V2(pgdeactivate),
	ONLY_V2(pglazyfree),
	ONLY_V2(pglazyfreed),
	ONLY_V2(thp_fault_alloc),
	ONLY_V2(thp_collapse_alloc),
};
/* clang-format on */

static uint64_t memory_value(const Grpc__MemoryStats *memory, const char *key)
{
	for (size_t i = 0; i < memory->n_stats; i++)
		if (memory->stats[i]->key && strcmp(memory->stats[i]->key, key) == 0)
			return memory->stats[i]->value;
	return 0;
}

static void set(void *message, size_t offset, uint64_t value)
{
	if (offset)
		memcpy((char *)message + offset, &value, sizeof(value));
}

static void set_memory_keys_v1(const Grpc__MemoryStats *memory, MemoryV1 *out)
{
	for (size_t i = 0; i < sizeof(memory_keys) / sizeof(memory_keys[0]); i++) {
		const struct memory_key *key = &memory_keys[i];

		set(out, key->v1, memory_value(memory, key->key));
		set(out, key->v1_total, memory_value(memory, key->key));
	}
}

static void set_memory_keys_v2(const Grpc__MemoryStats *memory, MemoryV2 *out)
{
	for (size_t i = 0; i < sizeof(memory_keys) / sizeof(memory_keys[0]); i++)
		set(out, memory_keys[i].v2, memory_value(memory, memory_keys[i].key));
}

/* cgroup v1. */

static Io__Containerd__Cgroups__V1__CPUStat *v1_cpu(const Grpc__CpuStats *cpu)
{
	Io__Containerd__Cgroups__V1__CPUStat *out =
		message_new(&io__containerd__cgroups__v1__cpustat__descriptor);
	const Grpc__ThrottlingData *throttling = cpu->throttling_data;
	const Grpc__CpuUsage *usage = cpu->cpu_usage;

	if (usage) {
		out->usage = message_new(&io__containerd__cgroups__v1__cpuusage__descriptor);
		out->usage->total = usage->total_usage;
		out->usage->kernel = usage->usage_in_kernelmode;
		out->usage->user = usage->usage_in_usermode;
	}
	if (throttling) {
		out->throttling = message_new(&io__containerd__cgroups__v1__throttle__descriptor);
		out->throttling->periods = throttling->periods;
		out->throttling->throttled_periods = throttling->throttled_periods;
		out->throttling->throttled_time = throttling->throttled_time;
	}
	return out;
}

static Io__Containerd__Cgroups__V1__MemoryEntry *v1_memory_entry(const Grpc__MemoryData *data)
{
	Io__Containerd__Cgroups__V1__MemoryEntry *out =
		message_new(&io__containerd__cgroups__v1__memory_entry__descriptor);

	if (!data)
		return out;
	out->limit = data->limit;
	out->usage = data->usage;
	out->max = data->max_usage;
	out->failcnt = data->failcnt;
	return out;
}

static void v1_memory(const Grpc__MemoryStats *memory, MetricsV1 *out)
{
	MemoryV1 *stat = message_new(&io__containerd__cgroups__v1__memory_stat__descriptor);

	set_memory_keys_v1(memory, stat);
	stat->usage = v1_memory_entry(memory->usage);
	stat->swap = v1_memory_entry(memory->swap_usage);
	stat->kernel = v1_memory_entry(memory->kernel_usage);
	stat->hierarchical_memory_limit = stat->usage->limit;
	stat->hierarchical_swap_limit = stat->swap->limit;
	out->memory = stat;
	out->memory_oom_control =
		message_new(&io__containerd__cgroups__v1__memory_oom_control__descriptor);
	out->memory_oom_control->oom_kill = memory_value(memory, "events.oom_kill");
}

/* A repeated field of block I/O. */
static void v1_io_list(Grpc__BlkioStatsEntry **from, size_t n,
                       Io__Containerd__Cgroups__V1__BlkIOEntry ***list, size_t *n_list)
{
	n = n < IO_MAX ? n : IO_MAX;
	*list = list_new(n);
	*n_list = n;
	for (size_t i = 0; i < n; i++) {
		Io__Containerd__Cgroups__V1__BlkIOEntry *entry =
			message_new(&io__containerd__cgroups__v1__blk_ioentry__descriptor);

		entry->op = mem_strdup(from[i]->op);
		entry->major = from[i]->major;
		entry->minor = from[i]->minor;
		entry->value = from[i]->value;
		(*list)[i] = entry;
	}
}

static Io__Containerd__Cgroups__V1__BlkIOStat *v1_io(const Grpc__BlkioStats *io)
{
	Io__Containerd__Cgroups__V1__BlkIOStat *out =
		message_new(&io__containerd__cgroups__v1__blk_iostat__descriptor);

#define LIST(member) v1_io_list(io->member, io->n_##member, &out->member, &out->n_##member)
	LIST(io_service_bytes_recursive);
	LIST(io_serviced_recursive);
	LIST(io_queued_recursive);
	LIST(io_service_time_recursive);
	LIST(io_wait_time_recursive);
	LIST(io_merged_recursive);
	LIST(io_time_recursive);
	LIST(sectors_recursive);
#undef LIST
	return out;
}

static void v1_hugetlb(const Grpc__CgroupStats *stats, MetricsV1 *out)
{
	out->hugetlb = list_new(stats->n_hugetlb_stats);
	for (size_t i = 0; i < stats->n_hugetlb_stats; i++) {
		const Grpc__CgroupStats__HugetlbStatsEntry *entry = stats->hugetlb_stats[i];
		Io__Containerd__Cgroups__V1__HugetlbStat *stat =
			message_new(&io__containerd__cgroups__v1__hugetlb_stat__descriptor);

		stat->pagesize = mem_strdup(entry->key);
		if (entry->value) {
			stat->usage = entry->value->usage;
			stat->max = entry->value->max_usage;
			stat->failcnt = entry->value->failcnt;
		}
		out->hugetlb[out->n_hugetlb++] = stat;
	}
}

/* NetworkStat is the same message in both. */
#define SET_NETWORK(out, from)                                                                     \
	do {                                                                                       \
		(out)->name = mem_strdup((from)->name);                                            \
		(out)->rx_bytes = (from)->rx_bytes;                                                \
		(out)->rx_packets = (from)->rx_packets;                                            \
		(out)->rx_errors = (from)->rx_errors;                                              \
		(out)->rx_dropped = (from)->rx_dropped;                                            \
		(out)->tx_bytes = (from)->tx_bytes;                                                \
		(out)->tx_packets = (from)->tx_packets;                                            \
		(out)->tx_errors = (from)->tx_errors;                                              \
		(out)->tx_dropped = (from)->tx_dropped;                                            \
	} while (0)

static void v1_network(const Grpc__StatsContainerResponse *stats, MetricsV1 *out)
{
	out->network = list_new(stats->n_network_stats);
	for (size_t i = 0; i < stats->n_network_stats; i++) {
		Io__Containerd__Cgroups__V1__NetworkStat *stat =
			message_new(&io__containerd__cgroups__v1__network_stat__descriptor);

		SET_NETWORK(stat, stats->network_stats[i]);
		out->network[out->n_network++] = stat;
	}
}

static ProtobufCMessage *v1_metrics(const Grpc__StatsContainerResponse *stats)
{
	MetricsV1 *out = message_new(&io__containerd__cgroups__v1__metrics__descriptor);
	const Grpc__CgroupStats *cgroup = stats->cgroup_stats;

	if (cgroup && cgroup->cpu_stats)
		out->cpu = v1_cpu(cgroup->cpu_stats);
	if (cgroup && cgroup->memory_stats)
		v1_memory(cgroup->memory_stats, out);
	if (cgroup && cgroup->pids_stats) {
		out->pids = message_new(&io__containerd__cgroups__v1__pids_stat__descriptor);
		out->pids->current = cgroup->pids_stats->current;
		out->pids->limit = cgroup->pids_stats->limit;
	}
	if (cgroup && cgroup->blkio_stats)
		out->blkio = v1_io(cgroup->blkio_stats);
	if (cgroup)
		v1_hugetlb(cgroup, out);
	v1_network(stats, out);
	return &out->base;
}

/* cgroup v2. */

static Io__Containerd__Cgroups__V2__CPUStat *v2_cpu(const Grpc__CpuStats *cpu)
{
	Io__Containerd__Cgroups__V2__CPUStat *out =
		message_new(&io__containerd__cgroups__v2__cpustat__descriptor);

	if (cpu->cpu_usage) {
		out->usage_usec = cpu->cpu_usage->total_usage / NS_PER_US;
		out->user_usec = cpu->cpu_usage->usage_in_usermode / NS_PER_US;
		out->system_usec = cpu->cpu_usage->usage_in_kernelmode / NS_PER_US;
	}
	if (cpu->throttling_data) {
		out->nr_periods = cpu->throttling_data->periods;
		out->nr_throttled = cpu->throttling_data->throttled_periods;
		out->throttled_usec = cpu->throttling_data->throttled_time / NS_PER_US;
	}
	return out;
}

static void v2_memory(const Grpc__MemoryStats *memory, MetricsV2 *out)
{
	MemoryV2 *stat = message_new(&io__containerd__cgroups__v2__memory_stat__descriptor);
	EventsV2 *events = message_new(&io__containerd__cgroups__v2__memory_events__descriptor);

	set_memory_keys_v2(memory, stat);
	if (memory->usage) {
		stat->usage = memory->usage->usage;
		stat->usage_limit = memory->usage->limit;
		stat->max_usage = memory->usage->max_usage;
	}
	if (memory->swap_usage) {
		stat->swap_usage = memory->swap_usage->usage;
		stat->swap_limit = memory->swap_usage->limit;
		stat->swap_max_usage = memory->swap_usage->max_usage;
	}
	events->low = memory_value(memory, "events.low");
	events->high = memory_value(memory, "events.high");
	events->max = memory_value(memory, "events.max");
	events->oom = memory_value(memory, "events.oom");
	events->oom_kill = memory_value(memory, "events.oom_kill");
	out->memory = stat;
	out->memory_events = events;
}

/* The entry of a device, made if missing. */
static Io__Containerd__Cgroups__V2__IOEntry *v2_io_entry(Io__Containerd__Cgroups__V2__IOStat *out,
                                                         const Grpc__BlkioStatsEntry *of)
{
	Io__Containerd__Cgroups__V2__IOEntry *entry;

	for (size_t i = 0; i < out->n_usage; i++)
		if (out->usage[i]->major == of->major && out->usage[i]->minor == of->minor)
			return out->usage[i];
	entry = message_new(&io__containerd__cgroups__v2__ioentry__descriptor);
	entry->major = of->major;
	entry->minor = of->minor;
	out->usage[out->n_usage++] = entry;
	return entry;
}

static Io__Containerd__Cgroups__V2__IOStat *v2_io(const Grpc__BlkioStats *io)
{
	Io__Containerd__Cgroups__V2__IOStat *out =
		message_new(&io__containerd__cgroups__v2__iostat__descriptor);

	out->usage = list_new(2L * IO_MAX);
	for (size_t i = 0; i < io->n_io_service_bytes_recursive && i < IO_MAX; i++) {
		const Grpc__BlkioStatsEntry *from = io->io_service_bytes_recursive[i];

		if (strcmp(from->op, "Read") == 0)
			v2_io_entry(out, from)->rbytes = from->value;
		else if (strcmp(from->op, "Write") == 0)
			v2_io_entry(out, from)->wbytes = from->value;
	}
	for (size_t i = 0; i < io->n_io_serviced_recursive && i < IO_MAX; i++) {
		const Grpc__BlkioStatsEntry *from = io->io_serviced_recursive[i];

		if (strcmp(from->op, "Read") == 0)
			v2_io_entry(out, from)->rios = from->value;
		else if (strcmp(from->op, "Write") == 0)
			v2_io_entry(out, from)->wios = from->value;
	}
	return out;
}

static void v2_hugetlb(const Grpc__CgroupStats *stats, MetricsV2 *out)
{
	out->hugetlb = list_new(stats->n_hugetlb_stats);
	for (size_t i = 0; i < stats->n_hugetlb_stats; i++) {
		const Grpc__CgroupStats__HugetlbStatsEntry *entry = stats->hugetlb_stats[i];
		Io__Containerd__Cgroups__V2__HugeTlbStat *stat =
			message_new(&io__containerd__cgroups__v2__huge_tlb_stat__descriptor);

		stat->pagesize = mem_strdup(entry->key);
		if (entry->value) {
			stat->current = entry->value->usage;
			stat->max = entry->value->max_usage;
			stat->failcnt = entry->value->failcnt;
		}
		out->hugetlb[out->n_hugetlb++] = stat;
	}
}

static void v2_network(const Grpc__StatsContainerResponse *stats, MetricsV2 *out)
{
	out->network = list_new(stats->n_network_stats);
	for (size_t i = 0; i < stats->n_network_stats; i++) {
		Io__Containerd__Cgroups__V2__NetworkStat *stat =
			message_new(&io__containerd__cgroups__v2__network_stat__descriptor);

		SET_NETWORK(stat, stats->network_stats[i]);
		out->network[out->n_network++] = stat;
	}
}

static ProtobufCMessage *v2_metrics(const Grpc__StatsContainerResponse *stats)
{
	MetricsV2 *out = message_new(&io__containerd__cgroups__v2__metrics__descriptor);
	const Grpc__CgroupStats *cgroup = stats->cgroup_stats;

	if (cgroup && cgroup->cpu_stats)
		out->cpu = v2_cpu(cgroup->cpu_stats);
	if (cgroup && cgroup->memory_stats)
		v2_memory(cgroup->memory_stats, out);
	if (cgroup && cgroup->pids_stats) {
		out->pids = message_new(&io__containerd__cgroups__v2__pids_stat__descriptor);
		out->pids->current = cgroup->pids_stats->current;
		out->pids->limit = cgroup->pids_stats->limit;
	}
	if (cgroup && cgroup->blkio_stats)
		out->io = v2_io(cgroup->blkio_stats);
	if (cgroup)
		v2_hugetlb(cgroup, out);
	v2_network(stats, out);
	return &out->base;
}

void metrics_encode(const Grpc__StatsContainerResponse *stats, enum metrics_version version,
                    Google__Protobuf__Any *out)
{
	bool v1 = version == METRICS_V1;
	ProtobufCMessage *metrics = v1 ? v1_metrics(stats) : v2_metrics(stats);

	out->type_url =
		v1 ? "io.containerd.cgroups.v1.Metrics" : "io.containerd.cgroups.v2.Metrics";
	out->value = message_encode(metrics);
	message_free(metrics);
}
