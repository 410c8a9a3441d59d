#include "shim/pod/machine_size.h"

#include <ev.h>

#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/vm.h"
#include "proto/features.h"
#include "shim/pod/agent_client.h"

#define UNDO_S 1 /* after a growth that failed: until its container does not count any more */

struct machine_size {
	struct ev_loop *loop;
	struct machine_size_config config;
	struct vm_size asked; /* what the VMM was told last: the guest may have less, or more */
	struct vm_size next;  /* while a change is under way */
	bool under_way;
	bool shrinks; /* the change that is under way */
	bool has_ended;
	ev_timer delay;
	bool undoes;            /* the delay is that after a growth that failed */
	struct size_waiter own; /* after the delay; listed while own.done */
	TAILQ_HEAD(, size_waiter) waiters;
};

/* What a growth can count on: what the guest still has of what it was asked for may go. */
static struct vm_size size_at_least(const struct machine_size *size)
{
	struct vm_size has = { vm_vcpus(size->config.vm), vm_memory_mib(size->config.vm) };

	if (has.vcpus > size->asked.vcpus)
		has.vcpus = size->asked.vcpus;
	if (has.memory_mib > size->asked.memory_mib)
		has.memory_mib = size->asked.memory_mib;
	return has;
}

static bool is_enough(const struct machine_size *size, const struct vm_size *wanted)
{
	struct vm_size has = size_at_least(size);

	return wanted->vcpus <= has.vcpus && wanted->memory_mib <= has.memory_mib;
}

static void answer(struct machine_size *size, struct size_waiter *waiter, const struct error *err)
{
	done_fn *done = take_ptr(&waiter->done);

	TAILQ_REMOVE(&size->waiters, waiter, link);
	done(waiter->ctx, err);
}

static void go_on(struct machine_size *size);

/* Who asked for it may have left meanwhile. */
static void end_change(struct machine_size *size, const struct error *err)
{
	struct size_waiter *first = TAILQ_FIRST(&size->waiters);

	size->under_way = false;
	if (first && first->has_begun)
		answer(size, first, err);
	go_on(size);
}

static void start_delay(struct machine_size *size, double after_s)
{
	if (size->has_ended || !size->config.wanted)
		return;
	ev_timer_stop(size->loop, &size->delay);
	ev_timer_set(&size->delay, after_s, 0);
	ev_timer_start(size->loop, &size->delay);
}

/* A growth. */

static void on_grown(void *ctx, const struct error *err)
{
	struct machine_size *size = ctx;

	if (size->has_ended)
		return;
	if (err) {
		log_warn("the machine has not grown: %s", err->text);
		start_delay(size, UNDO_S);
		size->undoes = true;
	}
	end_change(size, err);
}

/* The VMM has plugged them. The guest decides what of it is in use. */
static void on_plugged(void *ctx, const struct error *err)
{
	struct machine_size *size = ctx;
	bool memory = size->next.memory_mib > size->config.start.memory_mib;
	struct error failed;

	if (size->has_ended)
		return;
	if (err)
		on_grown(size, err);
	else if (agent_online(size->config.agent, size->next.vcpus, !memory, on_grown, size,
	                      &failed) < 0)
		on_grown(size, &failed);
}

static void begin_growth(struct machine_size *size, struct size_waiter *waiter)
{
	const struct vm_size *wanted = &waiter->wanted;
	const struct vm_size has = size_at_least(size);
	unsigned int has_plugged = vm_vcpus(size->config.vm); /* some are offline, perhaps */
	struct error err;

	size->next = size->asked;
	if (size->next.vcpus < wanted->vcpus)
		size->next.vcpus = wanted->vcpus;
	if (size->next.memory_mib < wanted->memory_mib)
		size->next.memory_mib = wanted->memory_mib;
	log_info("the machine grows from %u vCPUs and %lu MiB to %u and %lu", has.vcpus,
	         has.memory_mib, size->next.vcpus, size->next.memory_mib);
	size->asked = size->next;
	waiter->has_begun = size->under_way = true;
	if (vm_resize(size->config.vm,
	              has_plugged > size->next.vcpus ? has_plugged : size->next.vcpus,
	              has.memory_mib < wanted->memory_mib ? size->next.memory_mib : 0,
	              size->config.timeout_ms, on_plugged, size, &err) < 0)
		on_grown(size, &err);
}

/* The way back: the one does not wait for the other's success. */

static void on_given_back(void *ctx, const struct error *err)
{
	struct machine_size *size = ctx;

	if (size->has_ended)
		return;
	if (err)
		log_warn("the machine keeps memory: %s", err->text);
	log_info("the machine has %u vCPUs and %lu MiB", size->asked.vcpus,
	         vm_memory_mib(size->config.vm));
	end_change(size, NULL);
}

static bool growth_waits(const struct machine_size *size)
{
	const struct size_waiter *waiter;

	TAILQ_FOREACH (waiter, &size->waiters, link)
		if (!waiter->shrinks)
			break;
	return waiter != NULL;
}

static void on_vcpus_given_back(void *ctx, const struct error *err)
{
	struct machine_size *size = ctx;
	bool memory = size->next.memory_mib < vm_memory_mib(size->config.vm) && !growth_waits(size);
	struct error failed;

	if (size->has_ended)
		return;
	if (err)
		log_warn("the machine keeps vCPUs: %s", err->text);
	if (memory)
		size->asked.memory_mib = size->next.memory_mib;
	if (!memory)
		on_given_back(size, NULL);
	else if (vm_resize(size->config.vm, 0, size->next.memory_mib, size->config.give_back_ms,
	                   on_given_back, size, &failed) < 0)
		on_given_back(size, &failed);
}

/* They run nothing any more, and cost nothing where they stay plugged. */
static void on_offline(void *ctx, const struct error *err)
{
	struct machine_size *size = ctx;
	struct error failed;

	if (size->has_ended)
		return;
	if (!err)
		size->asked.vcpus = size->next.vcpus;
	if (err || !vm_vcpus_leave(size->config.vm))
		on_vcpus_given_back(size, err);
	else if (vm_resize(size->config.vm, size->next.vcpus, 0, size->config.give_back_ms,
	                   on_vcpus_given_back, size, &failed) < 0)
		on_vcpus_given_back(size, &failed);
}

static bool vcpus_can_leave(const struct machine_size *size)
{
	return agent_has(size->config.agent, FEATURE_CPUS_OFFLINE) ||
	       vm_vcpus_leave(size->config.vm);
}

static void begin_shrinking(struct machine_size *size)
{
	struct error err;

	log_info("the machine gives back: from %u vCPUs and %lu MiB to %u and %lu",
	         size->asked.vcpus, vm_memory_mib(size->config.vm), size->next.vcpus,
	         size->next.memory_mib);
	size->under_way = size->shrinks = true;
	if (size->asked.vcpus <= size->next.vcpus)
		on_vcpus_given_back(size, NULL);
	else if (!agent_has(size->config.agent, FEATURE_CPUS_OFFLINE))
		on_offline(size, NULL);
	else if (agent_offline(size->config.agent, size->next.vcpus, on_offline, size, &err) < 0)
		on_offline(size, &err);
}

/* What is wanted now, not when it was asked: a container may have come meanwhile. */
static bool can_shrink(struct machine_size *size)
{
	struct vm_size wanted = size->config.wanted(size->config.ctx);

	size->next = size->asked;
	if (!vcpus_can_leave(size))
		wanted.vcpus = size->asked.vcpus;
	if (wanted.vcpus < size->config.start.vcpus)
		wanted.vcpus = size->config.start.vcpus;
	if (wanted.memory_mib < size->config.start.memory_mib)
		wanted.memory_mib = size->config.start.memory_mib;
	if (size->next.vcpus > wanted.vcpus)
		size->next.vcpus = wanted.vcpus;
	if (size->next.memory_mib > wanted.memory_mib)
		size->next.memory_mib = wanted.memory_mib;
	return size->next.vcpus < size->asked.vcpus ||
	       size->next.memory_mib < vm_memory_mib(size->config.vm);
}

static void go_on(struct machine_size *size)
{
	struct size_waiter *waiter;

	while (!size->has_ended && !size->under_way && (waiter = TAILQ_FIRST(&size->waiters))) {
		size->shrinks = false;
		if (waiter->shrinks && can_shrink(size)) {
			waiter->has_begun = true;
			begin_shrinking(size);
		} else if (waiter->shrinks || is_enough(size, &waiter->wanted)) {
			answer(size, waiter, NULL);
		} else {
			begin_growth(size, waiter);
		}
	}
}

void machine_size_grow(struct machine_size *size, const struct vm_size *wanted,
                       struct size_waiter *waiter, done_fn *done, void *ctx)
{
	unsigned int vcpus_max = vm_vcpus_max(size->config.vm);
	uint64_t memory_max = vm_memory_max_mib(size->config.vm);

	*waiter = (struct size_waiter){ .wanted = *wanted, .done = done, .ctx = ctx };
	if (waiter->wanted.vcpus > vcpus_max)
		waiter->wanted.vcpus = vcpus_max;
	if (waiter->wanted.memory_mib > memory_max)
		waiter->wanted.memory_mib = memory_max;
	TAILQ_INSERT_TAIL(&size->waiters, waiter, link);
	if (size->under_way && size->shrinks) {
		vm_resize_hurry(size->config.vm);
		machine_size_shrink_later(size);
	}
	go_on(size);
}

void machine_size_shrink(struct machine_size *size, struct size_waiter *waiter, done_fn *done,
                         void *ctx)
{
	if (!size->config.wanted) {
		done(ctx, NULL);
		return;
	}
	*waiter = (struct size_waiter){ .shrinks = true, .done = done, .ctx = ctx };
	TAILQ_INSERT_TAIL(&size->waiters, waiter, link);
	go_on(size);
}

void machine_size_leave(struct machine_size *size, struct size_waiter *waiter)
{
	TAILQ_REMOVE(&size->waiters, waiter, link);
}

void machine_size_shrink_later(struct machine_size *size)
{
	if (!size->undoes)
		start_delay(size, size->config.delay_ms / 1e3);
}

static void on_own_done(void *ctx, const struct error *err)
{
	/* Nobody waits. */
}

static void on_delay_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct machine_size *size = timer->data;

	size->undoes = false;
	if (!size->own.done)
		machine_size_shrink(size, &size->own, on_own_done, size);
}

struct machine_size *machine_size_create(struct ev_loop *loop,
                                         const struct machine_size_config *config)
{
	struct machine_size *size = mem_new(struct machine_size);

	size->loop = loop;
	size->config = *config;
	size->asked = config->start;
	TAILQ_INIT(&size->waiters);
	ev_timer_init(&size->delay, on_delay_over, 0, 0);
	size->delay.data = size;
	return size;
}

void machine_size_end(struct machine_size *size, const struct error *why)
{
	struct size_waiter *waiter;

	if (!size)
		return;
	size->has_ended = true;
	ev_timer_stop(size->loop, &size->delay);
	while ((waiter = TAILQ_FIRST(&size->waiters)))
		answer(size, waiter, why);
}

void machine_size_destroy(struct machine_size *size)
{
	free(size);
}
