#include "shim/pod/pod_limits.h"

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/log.h"
#include "shim/config/config.h"
#include "shim/host/cgroup_limits.h"
#include "shim/host/host_cgroup.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/pod/sandbox.h"

#define MIB           (1ULL << 20)
#define MICRO         1000000
#define MICROCPUS_MAX (1ULL << 40)

/* Whether every container has a limit. One without may use what the machine has. */
static void find_limited(const struct pod *pod, bool *memory, bool *cpus)
{
	const struct container *container;
	bool any = false;

	*memory = *cpus = true;
	LIST_FOREACH (container, &pod->containers, link) {
		const struct limits_claim *claim;

		if (container->is_pause)
			continue;
		LIST_FOREACH (claim, &container->claims, link) {
			*memory = *memory && claim->limits.memory > 0;
			*cpus = *cpus && claim->limits.quota > 0;
		}
		any = true;
		*memory = *memory && container->limits.memory > 0;
		*cpus = *cpus && container->limits.quota > 0;
	}
	*memory = *memory && any;
	*cpus = *cpus && any;
}

void pod_limits_apply(struct pod *pod)
{
	const struct vm_demand demand = container_demands(pod);
	const struct vm_size size = pod_size_for(&pod->size, &demand);
	struct cgroup_limits limits = { 0 };
	bool memory, cpus;
	struct error err;

	if (pod->memory_mib < size.memory_mib)
		pod->memory_mib = size.memory_mib;
	find_limited(pod, &memory, &cpus);
	if (memory)
		limits.memory = (pod->memory_mib + POD_LIMITS_OVERHEAD_MIB) * MIB;
	if (cpus && demand.micro_cpus < MICROCPUS_MAX)
		limits.micro_cpus = demand.micro_cpus + (uint64_t)pod->size.initial.vcpus * MICRO;
	if (cgroup_limits_write(pod->cgroup, &limits, &err) < 0)
		log_warn("the pod is not limited on the host: %s", err.text);
}

void pod_limits_share(const struct pod *pod, const Grpc__LinuxResources *resources)
{
	struct cgroup_share share = { 0 };
	struct error err;

	if (!resources || !resources->cpu)
		return;
	share.shares = resources->cpu->shares;
	share.cpus = resources->cpu->cpus;
	share.mems = resources->cpu->mems;
	if (cgroup_share_write(pod->cgroup, &share, &err) < 0)
		log_warn("the pod's share of the host's processors is as it was: %s", err.text);
}

void pod_limits_pin_vcpus(const struct pod *pod)
{
	const cpu_set_t cpus = container_cpus(pod);

	if (pod->config->pin_vcpus)
		sandbox_pin(pod->sandbox, &cpus);
}

void pod_limits_place_vcpus(const struct pod *pod)
{
	struct error err;

	if (host_cgroup_add_vmm(pod->cgroup, sandbox_vmm(pod->sandbox), &err) < 0)
		log_warn("vCPUs are not in the pod's cgroup on the host: %s", err.text);
	pod_limits_pin_vcpus(pod);
}
