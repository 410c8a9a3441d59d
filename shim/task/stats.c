#include "shim/task/stats.h"

#include <stdlib.h>

#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/google.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"
#include "shim/host/cgroup_usage.h"
#include "shim/network/link_counters.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/pod/sandbox.h"
#include "shim/task/metrics.h"

/* The network's, of which the messages in *out are parts of *messages; both are free()d. */
static size_t read_network(const struct pod *pod, struct net_link **links,
                           Grpc__NetworkStats **messages, Grpc__NetworkStats ***out)
{
	struct error err;
	size_t n = 0;

	if (!pod->netns) /* a sandbox that has ended has left it */
		return 0;
	if (link_counters_read(pod->netns, links, &n, &err) < 0) {
		log_warn("no figures of the network: %s", err.text);
		return 0;
	}
	*messages = mem_alloc(n * sizeof(**messages));
	*out = mem_alloc(n * sizeof(void *));
	for (size_t i = 0; i < n; i++) {
		const struct net_link_counters *counters = &(*links)[i].counters;

		grpc__network_stats__init(&(*messages)[i]);
		(*messages)[i].name = (*links)[i].name;
		(*messages)[i].rx_bytes = counters->rx_bytes;
		(*messages)[i].rx_packets = counters->rx_packets;
		(*messages)[i].rx_errors = counters->rx_errors;
		(*messages)[i].rx_dropped = counters->rx_dropped;
		(*messages)[i].tx_bytes = counters->tx_bytes;
		(*messages)[i].tx_packets = counters->tx_packets;
		(*messages)[i].tx_errors = counters->tx_errors;
		(*messages)[i].tx_dropped = counters->tx_dropped;
		(*out)[i] = &(*messages)[i];
	}
	return n;
}

/* @out's value is free()d by the caller. */
static void encode(const struct pod *pod, const Grpc__CgroupStats *cgroup,
                   Google__Protobuf__Any *out)
{
	Grpc__StatsContainerResponse stats = GRPC__STATS_CONTAINER_RESPONSE__INIT;
	autofree struct net_link *links = NULL;
	autofree Grpc__NetworkStats *messages = NULL;
	autofree Grpc__NetworkStats **network = NULL;

	stats.cgroup_stats = (Grpc__CgroupStats *)cgroup;
	stats.n_network_stats = read_network(pod, &links, &messages, &network);
	stats.network_stats = network;
	metrics_encode(&stats, metrics_version_of_host(), out);
}

static void reply(struct ttrpc_call *call, Google__Protobuf__Any *metrics)
{
	Containerd__Task__V2__StatsResponse response = CONTAINERD__TASK__V2__STATS_RESPONSE__INIT;

	response.stats = metrics;
	ttrpc_call_reply(call, &response.base);
	free(metrics->value.data);
}

static void on_stats(void *ctx, const Grpc__StatsContainerResponse *stats, const struct error *err)
{
	Google__Protobuf__Any metrics = GOOGLE__PROTOBUF__ANY__INIT;
	struct ttrpc_call *call = ctx;

	if (err) {
		ttrpc_call_fail(call, err);
		return;
	}
	encode(ttrpc_call_ctx(call), stats->cgroup_stats, &metrics);
	reply(call, &metrics);
}

/* @entries and @list: of CGROUP_USAGE_MEMORY each. */
static void put_memory(const struct cgroup_usage *usage, Grpc__MemoryStats *memory,
                       Grpc__MemoryStats__StatsEntry *entries, Grpc__MemoryStats__StatsEntry **list)
{
	for (size_t i = 0; i < CGROUP_USAGE_MEMORY; i++) {
		grpc__memory_stats__stats_entry__init(&entries[i]);
		entries[i].key = (char *)usage->memory_stat[i].key;
		entries[i].value = usage->memory_stat[i].value;
		list[i] = &entries[i];
	}
	memory->stats = list;
	memory->n_stats = CGROUP_USAGE_MEMORY;
	memory->usage->usage = usage->memory;
	memory->usage->max_usage = usage->memory_max;
	memory->usage->limit = usage->memory_limit;
}

static void put_cpu(const struct cgroup_usage *usage, Grpc__CpuStats *cpu)
{
	cpu->cpu_usage->total_usage = usage->cpu_ns;
	cpu->cpu_usage->usage_in_usermode = usage->cpu_user_ns;
	cpu->cpu_usage->usage_in_kernelmode = usage->cpu_system_ns;
	cpu->throttling_data->periods = usage->periods;
	cpu->throttling_data->throttled_periods = usage->throttled_periods;
	cpu->throttling_data->throttled_time = usage->throttled_ns;
}

void stats_encode_pause(const struct pod *pod, Google__Protobuf__Any *out)
{
	Grpc__CgroupStats cgroup = GRPC__CGROUP_STATS__INIT;
	Grpc__CpuStats cpu = GRPC__CPU_STATS__INIT;
	Grpc__CpuUsage cpu_usage = GRPC__CPU_USAGE__INIT;
	Grpc__ThrottlingData throttling = GRPC__THROTTLING_DATA__INIT;
	Grpc__MemoryStats memory = GRPC__MEMORY_STATS__INIT;
	Grpc__MemoryData data = GRPC__MEMORY_DATA__INIT;
	Grpc__MemoryData none = GRPC__MEMORY_DATA__INIT;
	Grpc__MemoryStats__StatsEntry entries[CGROUP_USAGE_MEMORY];
	Grpc__MemoryStats__StatsEntry *list[CGROUP_USAGE_MEMORY];
	Grpc__PidsStats pids = GRPC__PIDS_STATS__INIT;
	struct cgroup_usage usage;

	cgroup_usage_read(pod->cgroup, &usage);
	cpu.cpu_usage = &cpu_usage;
	cpu.throttling_data = &throttling;
	put_cpu(&usage, &cpu);
	memory.usage = &data;
	memory.swap_usage = memory.kernel_usage = &none;
	put_memory(&usage, &memory, entries, list);
	pids.current = usage.pids;
	pids.limit = usage.pids_limit;
	cgroup.cpu_stats = &cpu;
	cgroup.memory_stats = &memory;
	cgroup.pids_stats = &pids;
	encode(pod, &cgroup, out);
}

void stats_run(struct pod *pod, const struct container *container, struct ttrpc_call *call)
{
	Google__Protobuf__Any metrics = GOOGLE__PROTOBUF__ANY__INIT;
	struct error err;

	if (container->is_pause) {
		stats_encode_pause(pod, &metrics);
		reply(call, &metrics);
		return;
	}
	if (agent_stats(sandbox_agent(pod->sandbox), container->id, on_stats, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}
