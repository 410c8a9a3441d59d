#include "shim/pod/machine_growth.h"

#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/vm.h"
#include "shim/pod/agent_client.h"

struct machine_growth {
	struct machine_growth_config config;
	struct vm_size now;  /* what the guest has */
	struct vm_size next; /* while one is under way */
	bool under_way;
	bool has_ended;
	TAILQ_HEAD(, growth_waiter) waiters;
};

static bool is_enough(const struct machine_growth *growth, const struct vm_size *wanted)
{
	return wanted->vcpus <= growth->now.vcpus && wanted->memory_mib <= growth->now.memory_mib;
}

static void answer(struct machine_growth *growth, struct growth_waiter *waiter,
                   const struct error *err)
{
	TAILQ_REMOVE(&growth->waiters, waiter, link);
	waiter->done(waiter->ctx, err);
}

static void grow(struct machine_growth *growth);

/* Who asked for it may have left meanwhile. */
static void on_grown(void *ctx, const struct error *err)
{
	struct machine_growth *growth = ctx;
	struct growth_waiter *first = TAILQ_FIRST(&growth->waiters);

	if (growth->has_ended)
		return;
	growth->under_way = false;
	if (err)
		log_warn("the machine has not grown: %s", err->text);
	else
		growth->now = growth->next;
	if (first && first->has_begun)
		answer(growth, first, err);
	grow(growth);
}

/* The VMM has plugged them. The guest decides what of it is in use. */
static void on_resized(void *ctx, const struct error *err)
{
	struct machine_growth *growth = ctx;
	bool memory = growth->next.memory_mib > growth->now.memory_mib;
	struct error failed;

	if (growth->has_ended)
		return;
	if (err)
		on_grown(growth, err);
	else if (agent_online(growth->config.agent, growth->next.vcpus, !memory, on_grown, growth,
	                      &failed) < 0)
		on_grown(growth, &failed);
}

static void begin(struct machine_growth *growth, struct growth_waiter *waiter)
{
	const struct vm_size *wanted = &waiter->wanted;
	struct error err;

	growth->next = growth->now;
	if (growth->next.vcpus < wanted->vcpus)
		growth->next.vcpus = wanted->vcpus;
	if (growth->next.memory_mib < wanted->memory_mib)
		growth->next.memory_mib = wanted->memory_mib;
	log_info("the machine grows from %u vCPUs and %lu MiB to %u and %lu", growth->now.vcpus,
	         growth->now.memory_mib, growth->next.vcpus, growth->next.memory_mib);
	waiter->has_begun = growth->under_way = true;
	if (vm_resize(growth->config.vm, growth->next.vcpus, growth->next.memory_mib,
	              growth->config.timeout_ms, on_resized, growth, &err) < 0) {
		growth->under_way = false;
		answer(growth, waiter, &err);
	}
}

static void grow(struct machine_growth *growth)
{
	struct growth_waiter *waiter;

	while (!growth->has_ended && !growth->under_way &&
	       (waiter = TAILQ_FIRST(&growth->waiters))) {
		if (is_enough(growth, &waiter->wanted))
			answer(growth, waiter, NULL);
		else
			begin(growth, waiter);
	}
}

void machine_growth_ask(struct machine_growth *growth, const struct vm_size *wanted,
                        struct growth_waiter *waiter, done_fn *done, void *ctx)
{
	unsigned int vcpus_max = vm_vcpus_max(growth->config.vm);
	uint64_t memory_max = vm_memory_max_mib(growth->config.vm);

	*waiter = (struct growth_waiter){ .wanted = *wanted, .done = done, .ctx = ctx };
	if (waiter->wanted.vcpus > vcpus_max)
		waiter->wanted.vcpus = vcpus_max;
	if (waiter->wanted.memory_mib > memory_max)
		waiter->wanted.memory_mib = memory_max;
	TAILQ_INSERT_TAIL(&growth->waiters, waiter, link);
	grow(growth);
}

void machine_growth_leave(struct machine_growth *growth, struct growth_waiter *waiter)
{
	TAILQ_REMOVE(&growth->waiters, waiter, link);
}

struct machine_growth *machine_growth_create(const struct machine_growth_config *config)
{
	struct machine_growth *growth = mem_new(struct machine_growth);

	growth->config = *config;
	growth->now = config->now;
	TAILQ_INIT(&growth->waiters);
	return growth;
}

void machine_growth_end(struct machine_growth *growth, const struct error *why)
{
	struct growth_waiter *waiter;

	if (!growth)
		return;
	growth->has_ended = true;
	while ((waiter = TAILQ_FIRST(&growth->waiters)))
		answer(growth, waiter, why);
}

void machine_growth_destroy(struct machine_growth *growth)
{
	free(growth);
}
