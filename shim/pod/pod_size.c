#include "shim/pod/pod_size.h"

#include "shim/config/config.h"
#include "shim/spec/cri.h"

static void read_config(struct pod_size *size, const struct config *config)
{
	struct vm_size max = vm_size_of_host();

	size->initial = (struct vm_size){
		.vcpus = config->vcpus < 0 ? max.vcpus : (unsigned int)config->vcpus,
		.memory_mib = (uint64_t)config->memory_mib,
	};
	if (size->initial.vcpus == 0)
		size->initial.vcpus = 1;
	if (config->max_vcpus && (unsigned int)config->max_vcpus < max.vcpus)
		max.vcpus = (unsigned int)config->max_vcpus;
	if (config->max_memory_mib && (uint64_t)config->max_memory_mib < max.memory_mib)
		max.memory_mib = (uint64_t)config->max_memory_mib;
	size->max = max;
}

void pod_size_init(struct pod_size *size, const Grpc__Spec *spec, const struct config *config)
{
	const struct vm_limits limits = vm_limits_of_spec(spec);
	struct vm_demand demand;
	struct cri cri;

	read_config(size, config);
	demand = vm_demand_of(&limits, &size->max);
	size->start = vm_size_for(&demand, &size->initial, &size->max);
	if (cri_read(spec, &cri, NULL) == 0 && cri.type == CRI_SANDBOX)
		size->sandbox = demand;
	size->cpus_are_known = cri.type == CRI_NONE || limits.quota || limits.period;
	size->is_static = config->static_size;
	if (size->is_static)
		size->max = size->start;
}

struct vm_size pod_size_for(const struct pod_size *size, const struct vm_demand *demand)
{
	struct vm_demand raised = *demand;

	if (size->is_static)
		return size->start;
	vm_demand_raise(&raised, &size->sandbox);
	return vm_size_for(&raised, &size->initial, &size->max);
}
