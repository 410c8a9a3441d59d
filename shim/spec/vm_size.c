#include "shim/spec/vm_size.h"

#include <stdbool.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "common/error.h"
#include "shim/spec/cri.h"

#define MIB            (1UL << 20)
#define MICRO          1000000
#define UNLIMITED      (1LL << 60) /* bytes: what clients say who know no -1 */
#define SHARES_OF_CPU  1024
#define SHARES_NONE    2      /* what Kubernetes says for a pod that requests nothing */
#define PERIOD_DEFAULT 100000 /* microseconds: kernel Documentation/scheduler/sched-bwc.rst */

struct vm_size vm_size_of_host(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	struct sysinfo info = { 0 };

	sysinfo(&info); /* fails only for a bad address */
	return (struct vm_size){
		.vcpus = online > 0 ? (unsigned int)online : 1,
		.memory_mib = (uint64_t)info.totalram * info.mem_unit / MIB,
	};
}

static int64_t saturated(int64_t a, uint64_t b)
{
	int64_t result;

	return __builtin_add_overflow(a, b, &result) ? INT64_MAX : result;
}

struct vm_limits vm_limits_of(const Grpc__LinuxResources *resources)
{
	struct vm_limits limits = { 0 };

	if (resources && resources->cpu) {
		limits.quota = resources->cpu->quota;
		limits.period = resources->cpu->period > INT64_MAX
		                        ? INT64_MAX
		                        : (int64_t)resources->cpu->period;
	}
	if (resources && resources->memory)
		limits.memory = resources->memory->limit;
	for (size_t i = 0; resources && i < resources->n_hugepagelimits; i++)
		limits.huge_pages =
			saturated(limits.huge_pages, resources->hugepagelimits[i]->limit);
	return limits;
}

struct vm_limits vm_limits_update(const struct vm_limits *limits, const struct vm_limits *to)
{
	return (struct vm_limits){
		.quota = to->quota ? to->quota : limits->quota,
		.period = to->period ? to->period : limits->period,
		.memory = to->memory ? to->memory : limits->memory,
		.huge_pages = to->huge_pages ? to->huge_pages : limits->huge_pages,
	};
}

struct vm_limits vm_limits_of_spec(const Grpc__Spec *spec)
{
	struct vm_limits limits;
	struct cri cri;

	if (cri_read(spec, &cri, NULL) < 0 || cri.type != CRI_SANDBOX)
		return vm_limits_of(spec->linux ? spec->linux->resources : NULL);
	limits = (struct vm_limits){
		.quota = cri.cpu_quota,
		.period = cri.cpu_period,
		.memory = cri.memory,
	};
	if (limits.quota <= 0 && cri.cpu_shares > SHARES_NONE) {
		limits.quota = cri.cpu_shares;
		limits.period = SHARES_OF_CPU;
	}
	return limits;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	uint64_t result;

	return __builtin_add_overflow(a, b, &result) ? UINT64_MAX : result;
}

static uint64_t micro_cpus_of(const struct vm_limits *limits)
{
	uint64_t period = limits->period > 0 ? (uint64_t)limits->period : PERIOD_DEFAULT;
	uint64_t quota = limits->quota > 0 ? (uint64_t)limits->quota : 0;
	uint64_t whole;

	if (__builtin_mul_overflow(quota / period, MICRO, &whole))
		return UINT64_MAX;
	if (__builtin_mul_overflow(quota % period, MICRO, &quota))
		return sum(whole, MICRO); /* of a period of centuries */
	return sum(whole, quota / period + (quota % period != 0));
}

static uint64_t memory_of(int64_t bytes, uint64_t max)
{
	uint64_t limit = bytes > 0 ? (uint64_t)bytes : 0;

	return limit / MIB < max ? limit / MIB + (limit % MIB != 0) : 0;
}

struct vm_demand vm_demand_of(const struct vm_limits *limits, const struct vm_size *max)
{
	return (struct vm_demand){
		.micro_cpus = micro_cpus_of(limits),
		.memory_mib = sum(memory_of(limits->memory, max->memory_mib),
		                  memory_of(limits->huge_pages, max->memory_mib)),
	};
}

void vm_demand_add(struct vm_demand *demand, const struct vm_demand *more)
{
	demand->micro_cpus = sum(demand->micro_cpus, more->micro_cpus);
	demand->memory_mib = sum(demand->memory_mib, more->memory_mib);
}

/* Whether @to is more than @max, and more than it was; 0 is no limit. */
static bool is_raised_beyond(uint64_t from, uint64_t to, uint64_t max)
{
	return to > max && (!from || to > from);
}

int vm_limits_check_raise(const struct vm_limits *from, const struct vm_limits *to,
                          const struct vm_size *max, struct error *err)
{
	uint64_t cpus = micro_cpus_of(to);
	uint64_t memory = to->memory > 0 && to->memory < UNLIMITED ? (uint64_t)to->memory : 0;

	if (is_raised_beyond(from->memory > 0 ? (uint64_t)from->memory : 0, memory,
	                     max->memory_mib * MIB))
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "memory.limit of %lu MiB: the machine can have %lu MiB",
		                 memory / MIB, max->memory_mib);
	if (is_raised_beyond(micro_cpus_of(from), cpus, (uint64_t)max->vcpus * MICRO))
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "cpu.quota of %lu CPUs: the machine can have %u",
		                 cpus / MICRO + (cpus % MICRO != 0), max->vcpus);
	return 0;
}

void vm_demand_raise(struct vm_demand *demand, const struct vm_demand *to)
{
	if (demand->micro_cpus < to->micro_cpus)
		demand->micro_cpus = to->micro_cpus;
	if (demand->memory_mib < to->memory_mib)
		demand->memory_mib = to->memory_mib;
}

static unsigned int vcpus_for(uint64_t micro_cpus, unsigned int initial, unsigned int max)
{
	uint64_t vcpus = micro_cpus / MICRO + (micro_cpus % MICRO != 0) + initial;

	return vcpus < max ? (unsigned int)vcpus : max;
}

static uint64_t memory_for(uint64_t demand, uint64_t initial, uint64_t max)
{
	uint64_t mib = sum(sum(demand, initial), VM_SIZE_STEP_MIB - 1);

	if (mib > max)
		mib = max;
	return mib - mib % VM_SIZE_STEP_MIB;
}

struct vm_size vm_size_for(const struct vm_demand *demand, const struct vm_size *initial,
                           const struct vm_size *max)
{
	return (struct vm_size){
		.vcpus = vcpus_for(demand->micro_cpus, initial->vcpus, max->vcpus),
		.memory_mib = memory_for(demand->memory_mib, initial->memory_mib, max->memory_mib),
	};
}
