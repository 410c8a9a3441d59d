#include "hypervisor/qemu/pinning.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/qemu/qmp.h"

#define TIMEOUT_MS 10000

struct pinning {
	struct qmp *qmp;
	pid_t pid;
	cpu_set_t cpus;
	bool pinned; /* since a set that had the number of the vCPUs */
};

/* A guest that has taken QEMU over may name any number: only QEMU's own threads are touched. */
static bool is_thread_of(pid_t pid, json_int_t thread)
{
	autofree char *path = mem_printf("/proc/%d/task/%lld", pid, (long long)thread);

	return thread > 0 && access(path, F_OK) == 0;
}

static void bind_thread(const struct pinning *pinning, json_int_t thread, const cpu_set_t *cpus)
{
	if (!is_thread_of(pinning->pid, thread))
		log_warn("QEMU has no thread %lld to bind", (long long)thread);
	else if (sched_setaffinity((pid_t)thread, sizeof(*cpus), cpus) < 0)
		log_warn("a vCPU cannot be bound to its CPU thread=%lld cause=\"%s\"",
		         (long long)thread, strerror(errno));
}

/* The next CPU of @cpus after @cpu. */
static int next_of(const cpu_set_t *cpus, int cpu)
{
	while (++cpu < CPU_SETSIZE)
		if (CPU_ISSET(cpu, cpus))
			break;
	return cpu;
}

static void on_vcpus(void *ctx, const json_t *result, const struct error *err)
{
	struct pinning *pinning = ctx;
	bool fits = (size_t)CPU_COUNT(&pinning->cpus) == json_array_size(result);
	cpu_set_t all;
	int cpu = -1;

	if (err) {
		log_warn("vCPUs are not bound: %s", err->text);
		return;
	}
	if ((!fits && !pinning->pinned) || sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	for (size_t i = 0; i < json_array_size(result); i++) {
		const json_t *vcpu = json_array_get(result, i);
		cpu_set_t one;

		CPU_ZERO(&one);
		if (fits)
			CPU_SET(cpu = next_of(&pinning->cpus, cpu), &one);
		bind_thread(pinning, json_integer_value(json_object_get(vcpu, "thread-id")),
		            fits ? &one : &all);
	}
	pinning->pinned = fits;
	log_info("vCPUs are %s their CPUs vcpus=%zu cpus=%d", fits ? "bound to" : "not bound to",
	         json_array_size(result), CPU_COUNT(&pinning->cpus));
}

void pinning_set(struct pinning *pinning, const cpu_set_t *cpus)
{
	struct error err;

	pinning->cpus = *cpus;
	if (pinning->qmp && qmp_execute(pinning->qmp, "query-cpus-fast", NULL, TIMEOUT_MS, on_vcpus,
	                                pinning, &err) < 0)
		log_warn("vCPUs are not bound: %s", err.text);
}

struct pinning *pinning_create(void)
{
	return mem_new(struct pinning);
}

void pinning_connect(struct pinning *pinning, struct qmp *qmp, pid_t pid)
{
	pinning->qmp = qmp;
	pinning->pid = pid;
}

void pinning_destroy(struct pinning *pinning)
{
	free(pinning);
}
