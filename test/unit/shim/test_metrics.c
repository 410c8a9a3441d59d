#include "shim/task/metrics.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "common/mem.h"
#include "proto/message.h"
#include "proto/metrics_v1.pb-c.h"
#include "proto/metrics_v2.pb-c.h"

/* What an agent tells, each value its own number. */
static struct guest {
	Grpc__StatsContainerResponse response;
	Grpc__CgroupStats cgroup;
	Grpc__CpuStats cpu;
	Grpc__CpuUsage usage;
	Grpc__ThrottlingData throttling;
	Grpc__MemoryStats memory;
	Grpc__MemoryData ram;
	Grpc__MemoryData swap;
	Grpc__MemoryStats__StatsEntry keys[3];
	Grpc__MemoryStats__StatsEntry *key_list[3];
	Grpc__PidsStats pids;
	Grpc__BlkioStats io;
	Grpc__BlkioStatsEntry entries[3];
	Grpc__BlkioStatsEntry *bytes[2];
	Grpc__BlkioStatsEntry *counts[1];
	Grpc__NetworkStats net;
	Grpc__NetworkStats *nets[1];
} guest;

static void key(int i, char *name, uint64_t value)
{
	guest.keys[i] = (Grpc__MemoryStats__StatsEntry)GRPC__MEMORY_STATS__STATS_ENTRY__INIT;
	guest.keys[i].key = name;
	guest.keys[i].value = value;
	guest.key_list[i] = &guest.keys[i];
}

static Grpc__BlkioStatsEntry entry(char *op, uint64_t major, uint64_t value)
{
	Grpc__BlkioStatsEntry out = GRPC__BLKIO_STATS_ENTRY__INIT;

	out.op = op;
	out.major = major;
	out.value = value;
	return out;
}

static void setup_memory(void)
{
	guest.memory = (Grpc__MemoryStats)GRPC__MEMORY_STATS__INIT;
	guest.ram = guest.swap = (Grpc__MemoryData)GRPC__MEMORY_DATA__INIT;
	guest.ram.usage = 21;
	guest.ram.limit = 22;
	guest.ram.max_usage = 23;
	guest.swap.usage = 24;
	key(0, "anon", 31);
	key(1, "slab", 32);
	key(2, "events.oom_kill", 33);
	guest.memory.usage = &guest.ram;
	guest.memory.swap_usage = &guest.swap;
	guest.memory.stats = guest.key_list;
	guest.memory.n_stats = 3;
}

static void setup_io(void)
{
	guest.io = (Grpc__BlkioStats)GRPC__BLKIO_STATS__INIT;
	guest.entries[0] = entry("Read", 8, 41);
	guest.entries[1] = entry("Write", 8, 42);
	guest.entries[2] = entry("Read", 9, 43);
	guest.bytes[0] = &guest.entries[0];
	guest.bytes[1] = &guest.entries[1];
	guest.counts[0] = &guest.entries[2];
	guest.io.io_service_bytes_recursive = guest.bytes;
	guest.io.n_io_service_bytes_recursive = 2;
	guest.io.io_serviced_recursive = guest.counts;
	guest.io.n_io_serviced_recursive = 1;
}

static void setup(void)
{
	guest.response = (Grpc__StatsContainerResponse)GRPC__STATS_CONTAINER_RESPONSE__INIT;
	guest.cgroup = (Grpc__CgroupStats)GRPC__CGROUP_STATS__INIT;
	guest.cpu = (Grpc__CpuStats)GRPC__CPU_STATS__INIT;
	guest.usage = (Grpc__CpuUsage)GRPC__CPU_USAGE__INIT;
	guest.throttling = (Grpc__ThrottlingData)GRPC__THROTTLING_DATA__INIT;
	guest.pids = (Grpc__PidsStats)GRPC__PIDS_STATS__INIT;
	guest.net = (Grpc__NetworkStats)GRPC__NETWORK_STATS__INIT;
	setup_memory();
	setup_io();
	guest.usage.total_usage = 11000;
	guest.throttling.periods = 12;
	guest.pids.current = 51;
	guest.net.name = "eth0";
	guest.net.tx_dropped = 61;
	guest.cpu.cpu_usage = &guest.usage;
	guest.cpu.throttling_data = &guest.throttling;
	guest.cgroup.cpu_stats = &guest.cpu;
	guest.cgroup.memory_stats = &guest.memory;
	guest.cgroup.pids_stats = &guest.pids;
	guest.cgroup.blkio_stats = &guest.io;
	guest.response.cgroup_stats = &guest.cgroup;
	guest.nets[0] = &guest.net;
	guest.response.network_stats = guest.nets;
	guest.response.n_network_stats = 1;
}

TestSuite(metrics, .init = setup);

static void *decoded(enum metrics_version version, const char *type_url,
                     const ProtobufCMessageDescriptor *type)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	ProtobufCMessage *message = NULL;

	metrics_encode(&guest.response, version, &any);
	cr_assert_str_eq(any.type_url, type_url);
	cr_assert_eq(message_decode(type, any.value.data, any.value.len, &message, NULL), 0);
	free(any.value.data);
	return message;
}

Test(metrics, speak_cgroup_v1)
{
	Io__Containerd__Cgroups__V1__Metrics *metrics =
		decoded(METRICS_V1, "io.containerd.cgroups.v1.Metrics",
	                &io__containerd__cgroups__v1__metrics__descriptor);

	cr_expect_eq(metrics->cpu->usage->total, 11000);
	cr_expect_eq(metrics->cpu->throttling->periods, 12);
	cr_expect_eq(metrics->memory->usage->usage, 21);
	cr_expect_eq(metrics->memory->usage->limit, 22);
	cr_expect_eq(metrics->memory->usage->max, 23);
	cr_expect_eq(metrics->memory->swap->usage, 24);
	cr_expect_eq(metrics->memory->rss, 31);
	cr_expect_eq(metrics->memory->total_rss, 31);
	cr_expect_eq(metrics->memory_oom_control->oom_kill, 33);
	cr_expect_eq(metrics->blkio->n_io_service_bytes_recursive, 2);
	cr_expect_eq(metrics->blkio->io_service_bytes_recursive[1]->value, 42);
	cr_expect_eq(metrics->pids->current, 51);
	cr_expect_str_eq(metrics->network[0]->name, "eth0");
	cr_expect_eq(metrics->network[0]->tx_dropped, 61);
	message_free(&metrics->base);
}

Test(metrics, speak_cgroup_v2)
{
	Io__Containerd__Cgroups__V2__Metrics *metrics =
		decoded(METRICS_V2, "io.containerd.cgroups.v2.Metrics",
	                &io__containerd__cgroups__v2__metrics__descriptor);

	cr_expect_eq(metrics->cpu->usage_usec, 11);
	cr_expect_eq(metrics->cpu->nr_periods, 12);
	cr_expect_eq(metrics->memory->usage, 21);
	cr_expect_eq(metrics->memory->usage_limit, 22);
	cr_expect_eq(metrics->memory->max_usage, 23);
	cr_expect_eq(metrics->memory->swap_usage, 24);
	cr_expect_eq(metrics->memory->anon, 31);
	cr_expect_eq(metrics->memory->slab, 32);
	cr_expect_eq(metrics->memory_events->oom_kill, 33);
	cr_assert_eq(metrics->io->n_usage, 2);
	cr_expect_eq(metrics->io->usage[0]->rbytes, 41);
	cr_expect_eq(metrics->io->usage[0]->wbytes, 42);
	cr_expect_eq(metrics->io->usage[1]->rios, 43);
	cr_expect_eq(metrics->pids->current, 51);
	cr_expect_eq(metrics->network[0]->tx_dropped, 61);
	message_free(&metrics->base);
}

Test(metrics, are_empty_when_the_guest_tells_nothing)
{
	Io__Containerd__Cgroups__V2__Metrics *metrics;

	guest.response = (Grpc__StatsContainerResponse)GRPC__STATS_CONTAINER_RESPONSE__INIT;
	metrics = decoded(METRICS_V2, "io.containerd.cgroups.v2.Metrics",
	                  &io__containerd__cgroups__v2__metrics__descriptor);
	cr_expect_null(metrics->memory);
	message_free(&metrics->base);
}

Test(metrics, of_a_lying_guest_are_bounded)
{
	enum {
		MANY = 5000
	};
	static Grpc__BlkioStatsEntry *many[MANY];
	Io__Containerd__Cgroups__V2__Metrics *metrics;

	for (int i = 0; i < MANY; i++) {
		many[i] = mem_new(Grpc__BlkioStatsEntry);
		*many[i] = entry("Read", (uint64_t)i, 1);
	}
	guest.io.io_service_bytes_recursive = many;
	guest.io.n_io_service_bytes_recursive = MANY;
	metrics = decoded(METRICS_V2, "io.containerd.cgroups.v2.Metrics",
	                  &io__containerd__cgroups__v2__metrics__descriptor);
	cr_expect_leq(metrics->io->n_usage, 2048);
	message_free(&metrics->base);
	for (int i = 0; i < MANY; i++)
		free(many[i]);
}
