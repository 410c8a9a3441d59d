#include "shim/spec/vm_size.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "shim/spec/spec.h"

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

/* 0 when it is absent or no number. */
static int64_t annotation_number(const Grpc__Spec *spec, const char *key)
{
	const char *text = spec_annotation(spec, key);
	char *end;
	int64_t number;

	if (!text)
		return 0;
	errno = 0;
	number = strtoll(text, &end, 10);
	return errno || *end ? 0 : number;
}

static bool is_sandbox(const Grpc__Spec *spec)
{
	const char *type = spec_annotation(spec, "io.kubernetes.cri.container-type");

	return type && !strcmp(type, "sandbox");
}

static struct limits limits_of_pod(const Grpc__Spec *spec)
{
	return (struct limits){
		.quota = annotation_number(spec, "io.kubernetes.cri.sandbox-cpu-quota"),
		.period = annotation_number(spec, "io.kubernetes.cri.sandbox-cpu-period"),
		.memory = annotation_number(spec, "io.kubernetes.cri.sandbox-memory"),
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
	struct limits limits = is_sandbox(spec) ? limits_of_pod(spec) : limits_of_container(spec);

	return (struct vm_size){
		.vcpus = vcpus_for(&limits, initial->vcpus, max->vcpus),
		.memory_mib = memory_for(&limits, initial->memory_mib, max->memory_mib),
	};
}
