#include "agent/cgroup/stats.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"

struct dir {
	char path[32];
	int fd;
};

static void dir_init(struct dir *dir)
{
	strcpy(dir->path, "/tmp/test_stats.XXXXXX");
	cr_assert_neq(mkdtemp(dir->path), NULL);
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY);
}

static void dir_fini(struct dir *dir)
{
	close(dir->fd);
	cr_assert_eq(file_remove_tree(AT_FDCWD, dir->path, NULL), 0);
}

static void put(const struct dir *dir, const char *name, const char *text)
{
	cr_assert_eq(file_write(dir->fd, name, 0644, text, strlen(text), NULL), 0);
}

static uint64_t memory_key(const Grpc__MemoryStats *memory, const char *key)
{
	for (size_t i = 0; i < memory->n_stats; i++)
		if (!strcmp(memory->stats[i]->key, key))
			return memory->stats[i]->value;
	cr_assert_fail("no key %s", key);
	return 0;
}

Test(stats, cpu_is_in_nanoseconds)
{
	Grpc__StatsContainerResponse *stats;
	Grpc__CpuStats *cpu;
	struct dir dir;

	dir_init(&dir);
	put(&dir, "cpu.stat",
	    "usage_usec 70\nuser_usec 40\nsystem_usec 30\nnr_periods 5\nnr_throttled 2\n"
	    "throttled_usec 9\n");
	cr_assert_eq(stats_read(dir.fd, &stats, NULL), 0);
	cpu = stats->cgroup_stats->cpu_stats;
	cr_assert_eq(cpu->cpu_usage->total_usage, 70000);
	cr_assert_eq(cpu->cpu_usage->usage_in_usermode, 40000);
	cr_assert_eq(cpu->cpu_usage->usage_in_kernelmode, 30000);
	cr_assert_eq(cpu->throttling_data->periods, 5);
	cr_assert_eq(cpu->throttling_data->throttled_periods, 2);
	cr_assert_eq(cpu->throttling_data->throttled_time, 9000);
	stats_free(stats);
	dir_fini(&dir);
}

Test(stats, memory_has_every_key_and_its_events)
{
	Grpc__StatsContainerResponse *stats;
	Grpc__MemoryStats *memory;
	struct dir dir;

	dir_init(&dir);
	put(&dir, "memory.current", "1000\n");
	put(&dir, "memory.peak", "2000\n");
	put(&dir, "memory.max", "max\n");
	put(&dir, "memory.swap.max", "512\n");
	put(&dir, "memory.stat", "anon 1\nfile 2\nkernel 3\nfile_dirty 4\n");
	put(&dir, "memory.events", "low 0\nhigh 0\nmax 6\noom 1\noom_kill 7\n");
	cr_assert_eq(stats_read(dir.fd, &stats, NULL), 0);
	memory = stats->cgroup_stats->memory_stats;
	cr_assert_eq(memory->usage->usage, 1000);
	cr_assert_eq(memory->usage->max_usage, 2000);
	cr_assert_eq(memory->usage->limit, UINT64_MAX);
	cr_assert_eq(memory->usage->failcnt, 6);
	cr_assert_eq(memory->swap_usage->limit, 512);
	cr_assert_eq(memory->cache, 2);
	cr_assert_eq(memory->kernel_usage->usage, 3);
	cr_assert_eq(memory_key(memory, "file_dirty"), 4);
	cr_assert_eq(memory_key(memory, "events.oom_kill"), 7);
	stats_free(stats);
	dir_fini(&dir);
}

Test(stats, io_pids_and_hugetlb_are_there)
{
	Grpc__StatsContainerResponse *stats;
	Grpc__CgroupStats *cgroup;
	struct dir dir;

	dir_init(&dir);
	put(&dir, "pids.current", "3\n");
	put(&dir, "pids.max", "max\n");
	put(&dir, "io.stat", "254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=5\n");
	put(&dir, "hugetlb.2MB.current", "4096\n");
	put(&dir, "hugetlb.2MB.events", "max 8\n");
	cr_assert_eq(stats_read(dir.fd, &stats, NULL), 0);
	cgroup = stats->cgroup_stats;
	cr_assert_eq(cgroup->pids_stats->current, 3);
	cr_assert_eq(cgroup->pids_stats->limit, 0);
	cr_assert_eq(cgroup->blkio_stats->n_io_service_bytes_recursive, 3);
	cr_assert_str_eq(cgroup->blkio_stats->io_service_bytes_recursive[1]->op, "Write");
	cr_assert_eq(cgroup->blkio_stats->io_service_bytes_recursive[1]->major, 254);
	cr_assert_eq(cgroup->blkio_stats->io_service_bytes_recursive[1]->value, 20);
	cr_assert_eq(cgroup->blkio_stats->io_serviced_recursive[2]->value, 5);
	cr_assert_eq(cgroup->n_hugetlb_stats, 1);
	cr_assert_str_eq(cgroup->hugetlb_stats[0]->key, "2MB");
	cr_assert_eq(cgroup->hugetlb_stats[0]->value->usage, 4096);
	cr_assert_eq(cgroup->hugetlb_stats[0]->value->failcnt, 8);
	stats_free(stats);
	dir_fini(&dir);
}

Test(stats, a_kernel_without_controllers_gives_empty_ones)
{
	Grpc__StatsContainerResponse *stats;
	struct dir dir;

	dir_init(&dir);
	cr_assert_eq(stats_read(dir.fd, &stats, NULL), 0);
	cr_assert_eq(stats->cgroup_stats->cpu_stats->cpu_usage->total_usage, 0);
	cr_assert_eq(stats->cgroup_stats->memory_stats->n_stats, 0);
	stats_free(stats);
	dir_fini(&dir);
}
