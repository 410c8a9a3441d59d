#include "shim/pod/container.h"

#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "common/loop/proc.h"
#include "common/mem.h"
#include "proto/limits.h"
#include "shim/config/config.h"
#include "shim/config/install.h"
#include "shim/host/pid_file.h"
#include "shim/network/netns.h"
#include "shim/pod/disk_set.h"
#include "shim/pod/hooks.h"
#include "shim/pod/pod.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/bundle.h"
#include "shim/spec/spec.h"
#include "shim/storage/rootfs.h"

#define PLACEHOLDER_MARK " (placeholder)"
#define EXEC_ID_SHOWN    100 /* of its characters */

/* Whether the machine has a container that goes on: one that would be harmed by its end. */
static bool has_living(const struct pod *pod)
{
	const struct container *container;

	LIST_FOREACH (container, &pod->containers, link)
		if (!container->is_pause && !container->kill_overdue &&
		    container->init->state != PROCESS_STOPPED)
			return true;
	return false;
}

static void on_kill_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct container *container = timer->data;
	struct error err;

	if (container->init->state == PROCESS_STOPPED || process_report_exit(container->init))
		return;
	error_set(&err, ERROR_DEADLINE_EXCEEDED,
	          "container \"%s\" was killed and has not ended within %d ms", container->id,
	          container->pod->config->kill_timeout_ms);
	container->kill_overdue = true;
	if (container->kill_answered && has_living(container->pod))
		log_warn("%s", err.text);
	else
		sandbox_fail(container->pod->sandbox, &err);
}

struct container *container_create(struct pod *pod, const char *id, const char *bundle_dir,
                                   const struct process_stdio *paths)
{
	struct container *container = mem_new(struct container);

	container->pod = pod;
	container->id = mem_strdup(id);
	container->bundle_dir = mem_strdup(bundle_dir);
	container->end_status = PROCESS_STATUS_KILLED;
	container->init = process_create(container, id, NULL, paths, pod->events);
	LIST_INIT(&container->execs);
	LIST_INIT(&container->claims);
	ev_timer_init(&container->kill_timer, on_kill_timeout, pod->config->kill_timeout_ms / 1e3,
	              0);
	container->kill_timer.data = container;
	LIST_INSERT_HEAD(&pod->containers, container, link);
	return container;
}

static bool is_ending(const struct process *process)
{
	return process->placeholder && !placeholder_is_gone(process->placeholder);
}

/* All have been killed: one after the other is waited for. */
static void await_placeholders(void *ctx)
{
	struct container *container = ctx;
	placeholder_ended_fn *done = container->placeholders_ended;
	struct process *exec;

	LIST_FOREACH (exec, &container->execs, link)
		if (is_ending(exec))
			break;
	if (exec) {
		placeholder_end(exec->placeholder, await_placeholders, container);
	} else if (is_ending(container->init)) {
		placeholder_end(container->init->placeholder, await_placeholders, container);
	} else {
		container->placeholders_ended = NULL;
		done(container->placeholders_ctx);
	}
}

static void remove_exec(struct container *container, struct process *exec, const struct error *why)
{
	LIST_REMOVE(exec, link);
	container->n_execs--;
	process_destroy(exec, why);
	if (container->placeholders_ended) /* its own, perhaps, was waited for */
		await_placeholders(container);
}

void container_destroy(struct container *container, const struct error *why)
{
	struct process *exec;

	if (!container)
		return;
	ev_timer_stop(container->pod->loop, &container->kill_timer);
	container->placeholders_ended = NULL;
	LIST_REMOVE(container, link); /* first: who is told of the end of a process looks it up */
	if (container->pod->sandbox)
		sandbox_shrink_later(container->pod->sandbox);
	while ((exec = LIST_FIRST(&container->execs)))
		remove_exec(container, exec, why);
	process_destroy(container->init, why);
	rootfs_destroy(container->rootfs);
	disk_set_destroy(container->disks);
	hooks_destroy(container->hooks);
	free(container->resolv_conf);
	bundle_destroy(container->bundle);
	spec_process_free(container->spec);
	free(container->id);
	free(container->bundle_dir);
	free(container);
}

struct container *container_lookup(const struct pod *pod, const char *id)
{
	struct container *container;

	LIST_FOREACH (container, &pod->containers, link)
		if (strcmp(container->id, id) == 0)
			return container;
	return NULL;
}

struct container *container_pause(const struct pod *pod)
{
	struct container *container;

	LIST_FOREACH (container, &pod->containers, link)
		if (container->is_pause)
			return container;
	return NULL;
}

void container_set_limits(struct container *container, const struct vm_limits *to,
                          const cpu_set_t *cpus)
{
	container->limits = vm_limits_update(&container->limits, to);
	if (CPU_COUNT(cpus) > 0)
		container->cpus = *cpus;
}

cpu_set_t container_cpus(const struct pod *pod)
{
	const struct container *container;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	LIST_FOREACH (container, &pod->containers, link)
		CPU_OR(&cpus, &cpus, &container->cpus);
	return cpus;
}

static struct vm_demand demand_of(const struct container *container)
{
	const struct vm_size *max = &container->pod->size.max;
	struct vm_demand demand = vm_demand_of(&container->limits, max);
	const struct limits_claim *claim;

	LIST_FOREACH (claim, &container->claims, link) {
		const struct vm_demand claimed = vm_demand_of(&claim->limits, max);

		vm_demand_raise(&demand, &claimed);
	}
	return demand;
}

struct vm_demand container_demands(const struct pod *pod)
{
	const struct container *container;
	struct vm_demand sum = { 0 };

	LIST_FOREACH (container, &pod->containers, link) {
		const struct vm_demand demand = demand_of(container);

		vm_demand_add(&sum, &demand);
	}
	return sum;
}

struct vm_size container_wanted_size(const void *ctx)
{
	const struct pod *pod = ctx;
	const struct vm_demand demand = container_demands(pod);

	return pod_size_for(&pod->size, &demand);
}

struct process *container_process(const struct container *container, const char *exec_id)
{
	struct process *exec;

	if (!*exec_id)
		return container->init;
	LIST_FOREACH (exec, &container->execs, link)
		if (strcmp(exec->id, exec_id) == 0)
			return exec;
	return NULL;
}

int container_check_exec(const struct container *container, const char *exec_id, struct error *err)
{
	if (!*exec_id)
		return error_set(err, ERROR_INVALID_ARGUMENT, "an exec needs an id");
	if (container_process(container, exec_id))
		return error_set(err, ERROR_ALREADY_EXISTS, "id %s", exec_id);
	if (container->n_execs == LIMIT_EXECS)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "the container has %d execs already", LIMIT_EXECS);
	return 0;
}

void container_add_exec(struct container *container, const char *exec_id, Grpc__Process *spec,
                        const struct process_stdio *paths)
{
	struct process *exec;

	exec = process_create(container, container->id, exec_id, paths, container->pod->events);
	exec->spec = spec;
	LIST_INSERT_HEAD(&container->execs, exec, link);
	container->n_execs++;
}

void container_remove_exec(struct container *container, struct process *exec)
{
	remove_exec(container, exec, NULL);
}

/* The only one that can be there before the machine is. */
static bool begins_pod(const struct container *container)
{
	return strcmp(container->id, container->pod->id) == 0;
}

/* In ps(1), and up to the colon in top(1). */
static char *title_of(const struct process *process)
{
	const struct container *container = process->container;
	const struct pod *pod = container->pod;
	autofree char *of_pod =
		begins_pod(container) ? mem_strdup("") : mem_printf(" of pod %s", pod->id);

	if (container->is_pause)
		return mem_printf("kata-pod: %s" PLACEHOLDER_MARK, pod->id);
	if (process_is_init(process))
		return mem_printf("kata-container: %s%s" PLACEHOLDER_MARK, container->id, of_pod);
	return mem_printf("kata-exec: %.*s of container %s%s" PLACEHOLDER_MARK, EXEC_ID_SHOWN,
	                  process->id, container->id, of_pod);
}

static void on_kill_sent(void *ctx, const struct error *err)
{
	struct process *process = ctx;

	process->kill = NULL;
	if (err)
		log_warn("cannot kill container=%s exec=\"%s\": %s", process->container_id,
		         process->id, err->text);
	else if (process_is_init(process))
		process->container->kill_answered = true;
}

static void kill_in_guest(struct process *process)
{
	const struct agent_process target = process_in_guest(process);
	struct container *container = process->container;
	struct error err;

	process_killed(process);
	if (process_is_init(process))
		container_start_kill_timer(container);
	if (agent_signal(sandbox_agent(container->pod->sandbox), &target, SIGKILL, on_kill_sent,
	                 process, &process->kill, &err) < 0)
		on_kill_sent(process, &err);
}

/* Nobody waits any more for what boots. */
static void end_boot(const struct process *process, int status)
{
	char how[100];
	struct error err;

	proc_describe(status, how, sizeof(how));
	error_set(&err, ERROR_CANCELED, "the placeholder process %d of the host %s",
	          (int)placeholder_pid(process->placeholder), how);
	sandbox_fail(process->container->pod->sandbox, &err);
}

/* Another has killed it. Clients that do so mean the container: docker sends SIGKILL to the pid when
 * a container does not end. */
static void on_placeholder_lost(void *ctx, int status)
{
	struct process *process = ctx;
	struct container *container = process->container;
	bool is_being_made =
		process_is_init(process) ? !container->created : process->state == PROCESS_STARTING;

	if (sandbox_state(container->pod->sandbox) == SANDBOX_BOOTING && begins_pod(container)) {
		end_boot(process, status);
		return;
	}
	if (is_being_made || process->exited || process->state == PROCESS_STOPPED ||
	    sandbox_state(container->pod->sandbox) != SANDBOX_READY)
		return;
	log_warn("the placeholder pid=%u was killed, so is its process container=%s exec=\"%s\"",
	         process->pid, process->container_id, process->id);
	if (container->is_pause)
		sandbox_stop(container->pod->sandbox);
	else
		kill_in_guest(process);
}

int container_start_placeholder(struct process *process, struct error *err)
{
	const struct container *container = process->container;
	const struct pod *pod = container->pod;
	autofree char *title = title_of(process);
	autofree char *rootfs = mem_printf("%s/%s/" ROOTFS_NAME, pod->share_dir, container->id);
	const struct placeholder_config config = {
		.program = pod->install->placeholder,
		.title = title,
		.root = container->is_pause ? pod->empty_dir : rootfs,
		.uid = sandbox_uid(pod->sandbox),
		.network = pod->netns ? netns_fd(pod->netns) : -1, /* it has left it */
	};

	return placeholder_start(pod->loop, &config, on_placeholder_lost, process,
	                         &process->placeholder, err);
}

void container_end_placeholders(struct container *container, placeholder_ended_fn *done, void *ctx)
{
	struct process *exec;

	container->placeholders_ended = done;
	container->placeholders_ctx = ctx;
	LIST_FOREACH (exec, &container->execs, link)
		if (exec->placeholder)
			placeholder_end(exec->placeholder, NULL, NULL);
	if (container->init->placeholder)
		placeholder_end(container->init->placeholder, NULL, NULL);
	await_placeholders(container);
}

void container_write_pid_file(const struct container *container)
{
	struct error err;

	if (pid_file_write(container->bundle_dir, (pid_t)container->init->pid, &err) < 0)
		log_warn("no pid file in bundle \"%s\": %s", container->bundle_dir, err.text);
}

static bool has_pid(const struct container *container, uint32_t pid)
{
	const struct process *exec;

	LIST_FOREACH (exec, &container->execs, link)
		if (exec->pid == pid)
			return true;
	return container->init->pid == pid;
}

struct container *container_of_pid(const struct pod *pod, pid_t pid)
{
	struct container *container;

	LIST_FOREACH (container, &pod->containers, link)
		if (pid > 0 && container->created && has_pid(container, (uint32_t)pid))
			return container;
	return NULL;
}

void container_start_kill_timer(struct container *container)
{
	struct process *exec;

	process_killed(container->init);
	LIST_FOREACH (exec, &container->execs, link)
		process_killed(exec);
	ev_now_update(container->pod->loop);
	ev_timer_start(container->pod->loop, &container->kill_timer);
}

void container_killed(struct container *container)
{
	struct process *exec;

	LIST_FOREACH (exec, &container->execs, link)
		if (exec->state != PROCESS_CREATED)
			process_exited(exec, PROCESS_STATUS_KILLED);
	if (container->created)
		process_exited(container->init, container->end_status);
}
