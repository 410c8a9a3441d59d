#include "agent/cgroup/cgroup_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/kernel_file.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define SHARES_MIN         2
#define SHARES_MAX         262144
#define BLKIO_WEIGHT_MIN   10
#define BLKIO_WEIGHT_MAX   1000
#define WEIGHT_RANGE       9999 /* v2 weights go from 1 to 1 + this */
#define CPU_PERIOD_DEFAULT 100000
#define UNLIMITED          (-1) /* v1's word for v2's "max" */

uint64_t cgroup_cpu_weight(uint64_t shares)
{
	if (shares < SHARES_MIN)
		shares = SHARES_MIN;
	if (shares > SHARES_MAX)
		shares = SHARES_MAX;
	return 1 + (shares - SHARES_MIN) * WEIGHT_RANGE / (SHARES_MAX - SHARES_MIN);
}

uint64_t cgroup_io_weight(uint32_t weight)
{
	if (weight < BLKIO_WEIGHT_MIN)
		weight = BLKIO_WEIGHT_MIN;
	if (weight > BLKIO_WEIGHT_MAX)
		weight = BLKIO_WEIGHT_MAX;
	return 1 + (uint64_t)(weight - BLKIO_WEIGHT_MIN) * WEIGHT_RANGE /
	                   (BLKIO_WEIGHT_MAX - BLKIO_WEIGHT_MIN);
}

static int refuse_v1_field(struct error *err, const char *field)
{
	return error_set(err, ERROR_UNIMPLEMENTED, "linux.resources.%s: not supported by cgroup v2",
	                 field);
}

static int check_memory(const Grpc__LinuxMemory *memory, struct error *err)
{
	if (memory->swappiness)
		return refuse_v1_field(err, "memory.swappiness");
	if (memory->disableoomkiller)
		return refuse_v1_field(err, "memory.disableOOMKiller");
	if (memory->limit < UNLIMITED || memory->swap < UNLIMITED ||
	    memory->reservation < UNLIMITED)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid linux.resources.memory: negative limit");
	if (memory->swap > 0 && memory->limit == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid linux.resources.memory.swap: needs a memory limit too");
	if (memory->swap > 0 && memory->swap < memory->limit)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "linux.resources.memory.swap: memory+swap limit should be >= "
		                 "memory limit");
	return 0;
}

static int check_cpu(const Grpc__LinuxCPU *cpu, struct error *err)
{
	if (cpu->realtimeruntime || cpu->realtimeperiod)
		return refuse_v1_field(err, "cpu.realtimeRuntime");
	return 0;
}

static int check_io(const Grpc__LinuxBlockIO *io, struct error *err)
{
	if (io->leafweight)
		return refuse_v1_field(err, "blockIO.leafWeight");
	for (size_t i = 0; i < io->n_weightdevice; i++)
		if (io->weightdevice[i]->leafweight)
			return refuse_v1_field(err, "blockIO.weightDevice.leafWeight");
	return 0;
}

/* As in the name of the file: "2MB". */
static int check_page_size(const Grpc__LinuxHugepageLimit *limit, struct error *err)
{
	const char *unit = limit->pagesize + strspn(limit->pagesize, "0123456789");

	if (unit != limit->pagesize &&
	    (!strcmp(unit, "KB") || !strcmp(unit, "MB") || !strcmp(unit, "GB")))
		return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "invalid page size \"%s\" in linux.resources.hugepageLimits: not a number "
	                 "with KB, MB or GB",
	                 limit->pagesize);
}

int cgroup_limits_check(const Grpc__LinuxResources *resources, struct error *err)
{
	const Grpc__LinuxNetwork *network = resources->network;
	int r = 0;

	if (network && (network->classid || network->n_priorities))
		return refuse_v1_field(err, "network");
	if (resources->memory)
		r = check_memory(resources->memory, err);
	if (r == 0 && resources->cpu)
		r = check_cpu(resources->cpu, err);
	if (r == 0 && resources->blockio)
		r = check_io(resources->blockio, err);
	for (size_t i = 0; r == 0 && i < resources->n_hugepagelimits; i++)
		r = check_page_size(resources->hugepagelimits[i], err);
	return r;
}

static int write_limit(int fd, const char *file, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int write_limit(int fd, const char *file, struct error *err, const char *fmt, ...)
{
	char value[256];
	va_list args;
	int r;

	va_start(args, fmt);
	vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	r = kernel_file_write(fd, file, value, err);
	if (r == -ENOENT)
		return error_set(
			err, ERROR_FAILED_PRECONDITION,
			"cannot set %s to \"%s\": the kernel has no such cgroup controller", file,
			value);
	return r;
}

/* A number, or "max" for the unlimited; 0 leaves the file alone. */
static int write_amount(int fd, const char *file, int64_t amount, struct error *err)
{
	if (amount == 0)
		return 0;
	if (amount == UNLIMITED)
		return write_limit(fd, file, err, "max");
	return write_limit(fd, file, err, "%" PRId64, amount);
}

/*
 * v1 limits the sum of memory and swap, v2 swap alone. A kernel without swap accounting has no
 * memory.swap.max, which is as good as a swap of 0 or without limit.
 */
static int write_swap(int fd, const Grpc__LinuxMemory *memory, struct error *err)
{
	int64_t swap = memory->swap;

	if (memory->limit == UNLIMITED && swap == 0)
		swap = UNLIMITED;
	if (swap == 0)
		return 0;
	if (swap > 0 && memory->limit > 0)
		swap -= memory->limit;
	if (swap <= 0 && faccessat(fd, "memory.swap.max", F_OK, 0) < 0)
		return 0;
	return swap == UNLIMITED ? write_limit(fd, "memory.swap.max", err, "max")
	                         : write_limit(fd, "memory.swap.max", err, "%" PRId64, swap);
}

static int write_memory(int fd, const Grpc__LinuxMemory *memory, struct error *err)
{
	int r = write_swap(fd, memory, err);

	if (r == 0)
		r = write_amount(fd, "memory.max", memory->limit, err);
	if (r == 0)
		r = write_amount(fd, "memory.low", memory->reservation, err);
	return r;
}

/* "QUOTA PERIOD" or "max PERIOD"; a file that says neither leaves the defaults. */
static void read_cpu_max(int fd, int64_t *quota, uint64_t *period)
{
	char text[64];

	if (kernel_file_read(fd, "cpu.max", text, sizeof(text), NULL) < 0)
		return;
	if (sscanf(text, "max %" SCNu64, period) != 1)
		sscanf(text, "%" SCNd64 " %" SCNu64, quota, period);
}

/* Quota and period are in one file: the one that is unset stays as it is. */
static int write_cpu_max(int fd, const Grpc__LinuxCPU *cpu, struct error *err)
{
	uint64_t period = CPU_PERIOD_DEFAULT;
	int64_t quota = UNLIMITED;

	if (!cpu->quota && !cpu->period)
		return 0;
	read_cpu_max(fd, &quota, &period);
	if (cpu->quota)
		quota = cpu->quota;
	if (cpu->period)
		period = cpu->period;
	if (quota < 0)
		return write_limit(fd, "cpu.max", err, "max %" PRIu64, period);
	return write_limit(fd, "cpu.max", err, "%" PRId64 " %" PRIu64, quota, period);
}

static int write_cpu(int fd, const Grpc__LinuxCPU *cpu, struct error *err)
{
	int r = 0;

	if (cpu->shares)
		r = write_limit(fd, "cpu.weight", err, "%" PRIu64, cgroup_cpu_weight(cpu->shares));
	if (r == 0)
		r = write_cpu_max(fd, cpu, err);
	if (r == 0 && *cpu->cpus)
		r = write_limit(fd, "cpuset.cpus", err, "%s", cpu->cpus);
	if (r == 0 && *cpu->mems)
		r = write_limit(fd, "cpuset.mems", err, "%s", cpu->mems);
	return r;
}

static int write_throttles(int fd, const char *key, Grpc__LinuxThrottleDevice *const *devices,
                           size_t n, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = write_limit(fd, "io.max", err, "%" PRId64 ":%" PRId64 " %s=%" PRIu64,
		                devices[i]->major, devices[i]->minor, key, devices[i]->rate);
	return r;
}

/* The file of the BFQ scheduler keeps v1's range and comes first, as with runc. */
static int write_io_weights(int fd, const Grpc__LinuxBlockIO *io, struct error *err)
{
	bool bfq = faccessat(fd, "io.bfq.weight", F_OK, 0) == 0;
	const char *file = bfq ? "io.bfq.weight" : "io.weight";
	int r = 0;

	if (io->weight)
		r = write_limit(fd, file, err, "%" PRIu64,
		                bfq ? io->weight : cgroup_io_weight(io->weight));
	for (size_t i = 0; r == 0 && i < io->n_weightdevice; i++) {
		const Grpc__LinuxWeightDevice *device = io->weightdevice[i];

		r = write_limit(fd, file, err, "%" PRId64 ":%" PRId64 " %" PRIu64, device->major,
		                device->minor,
		                bfq ? device->weight : cgroup_io_weight(device->weight));
	}
	return r;
}

static int write_io(int fd, const Grpc__LinuxBlockIO *io, struct error *err)
{
	int r = write_io_weights(fd, io, err);

	if (r == 0)
		r = write_throttles(fd, "rbps", io->throttlereadbpsdevice,
		                    io->n_throttlereadbpsdevice, err);
	if (r == 0)
		r = write_throttles(fd, "wbps", io->throttlewritebpsdevice,
		                    io->n_throttlewritebpsdevice, err);
	if (r == 0)
		r = write_throttles(fd, "riops", io->throttlereadiopsdevice,
		                    io->n_throttlereadiopsdevice, err);
	if (r == 0)
		r = write_throttles(fd, "wiops", io->throttlewriteiopsdevice,
		                    io->n_throttlewriteiopsdevice, err);
	return r;
}

static int write_hugepages(int fd, const Grpc__LinuxHugepageLimit *limit, struct error *err)
{
	autofree char *max = mem_printf("hugetlb.%s.max", limit->pagesize);
	autofree char *reserved = mem_printf("hugetlb.%s.rsvd.max", limit->pagesize);
	int r = write_limit(fd, max, err, "%" PRIu64, limit->limit);

	return r < 0 ? r : write_limit(fd, reserved, err, "%" PRIu64, limit->limit);
}

int cgroup_limits_write(int fd, const Grpc__LinuxResources *resources, struct error *err)
{
	int r = cgroup_limits_check(resources, err);

	if (r == 0 && resources->memory)
		r = write_memory(fd, resources->memory, err);
	if (r == 0 && resources->cpu)
		r = write_cpu(fd, resources->cpu, err);
	if (r == 0 && resources->pids)
		r = write_amount(fd, "pids.max",
		                 resources->pids->limit < 0 ? UNLIMITED : resources->pids->limit,
		                 err);
	if (r == 0 && resources->blockio)
		r = write_io(fd, resources->blockio, err);
	for (size_t i = 0; r == 0 && i < resources->n_hugepagelimits; i++)
		r = write_hugepages(fd, resources->hugepagelimits[i], err);
	return r;
}
