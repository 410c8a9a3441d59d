#include "shim/spec/vm_size.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include "shim/spec/cri.h"

#define MIB            (1ULL << 20)
#define PERIOD_DEFAULT 100000 /* microseconds: kernel Documentation/scheduler/sched-bwc.rst */

/* What the workload is limited to; 0 or less: not limited. */
struct limits {
	int64_t quota;
	int64_t period;
	int64_t memory; /* bytes */
};

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

static struct limits limits_of_container(const Grpc__Spec *spec)
{
	const Grpc__LinuxResources *resources = spec->linux ? spec->linux->resources : NULL;
	struct limits limits = { 0 };

	if (resources && resources->cpu) {
		limits.quota = resources->cpu->quota;
		limits.period = resources->cpu->period > INT64_MAX
		                        ? INT64_MAX
		                        : (int64_t)resources->cpu->period;
	}
	if (resources && resources->memory)
		limits.memory = resources->memory->limit;
	return limits;
}

static unsigned int vcpus_for(const struct limits *limits, unsigned int initial, unsigned int max)
{
	int64_t period = limits->period > 0 ? limits->period : PERIOD_DEFAULT;
	uint64_t vcpus = initial;

	if (limits->quota > 0)
		vcpus += (uint64_t)(limits->quota / period) + (limits->quota % period != 0);
	return vcpus < max ? (unsigned int)vcpus : max;
}

static uint64_t memory_for(const struct limits *limits, uint64_t initial, uint64_t max)
{
	uint64_t limit = limits->memory > 0 ? (uint64_t)limits->memory : 0;
	uint64_t mib = initial;

	if (limit / MIB < max)
		mib += limit / MIB + (limit % MIB != 0);
	mib += VM_SIZE_STEP_MIB - 1;
	if (mib > max)
		mib = max;
	return mib - mib % VM_SIZE_STEP_MIB;
}

struct vm_size vm_size_for(const Grpc__Spec *spec, const struct vm_size *initial,
                           const struct vm_size *max)
{
	struct limits limits = limits_of_container(spec);
	struct cri cri;

	if (cri_read(spec, &cri, NULL) == 0 && cri.type == CRI_SANDBOX && cri.has_limits)
		limits = (struct limits){ cri.cpu_quota, cri.cpu_period, cri.memory };

	return (struct vm_size){
		.vcpus = vcpus_for(&limits, initial->vcpus, max->vcpus),
		.memory_mib = memory_for(&limits, initial->memory_mib, max->memory_mib),
	};
}
