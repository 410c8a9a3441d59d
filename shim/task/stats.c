#include "shim/task/stats.h"

#include <stdlib.h>

#include "common/error.h"
#include "proto/google.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/pod/sandbox.h"
#include "shim/task/metrics.h"

static void on_stats(void *call, const Grpc__StatsContainerResponse *stats, const struct error *err)
{
	Containerd__Task__V2__StatsResponse response = CONTAINERD__TASK__V2__STATS_RESPONSE__INIT;
	Google__Protobuf__Any metrics = GOOGLE__PROTOBUF__ANY__INIT;

	if (err) {
		ttrpc_call_fail(call, err);
		return;
	}
	metrics_encode(stats, metrics_version_of_host(), &metrics);
	response.stats = &metrics;
	ttrpc_call_reply(call, &response.base);
	free(metrics.value.data);
}

static void answer_zeros(struct ttrpc_call *call)
{
	Grpc__StatsContainerResponse stats = GRPC__STATS_CONTAINER_RESPONSE__INIT;
	Grpc__CgroupStats cgroup = GRPC__CGROUP_STATS__INIT;
	Grpc__CpuStats cpu = GRPC__CPU_STATS__INIT;
	Grpc__CpuUsage cpu_usage = GRPC__CPU_USAGE__INIT;
	Grpc__ThrottlingData throttling = GRPC__THROTTLING_DATA__INIT;
	Grpc__MemoryStats memory = GRPC__MEMORY_STATS__INIT;
	Grpc__MemoryData data = GRPC__MEMORY_DATA__INIT;
	Grpc__PidsStats pids = GRPC__PIDS_STATS__INIT;

	cpu.cpu_usage = &cpu_usage;
	cpu.throttling_data = &throttling;
	memory.usage = memory.swap_usage = memory.kernel_usage = &data;
	cgroup.cpu_stats = &cpu;
	cgroup.memory_stats = &memory;
	cgroup.pids_stats = &pids;
	stats.cgroup_stats = &cgroup;
	on_stats(call, &stats, NULL);
}

void stats_run(struct pod *pod, const struct container *container, struct ttrpc_call *call)
{
	struct error err;

	if (container->is_pause)
		answer_zeros(call);
	else if (agent_stats(sandbox_agent(pod->sandbox), container->id, on_stats, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}
