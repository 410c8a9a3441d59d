#include "shim/pod/container.h"

#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "proto/limits.h"
#include "shim/config/config.h"
#include "shim/pod/pod.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/bundle.h"
#include "shim/spec/spec.h"
#include "shim/storage/rootfs.h"

/* Besides pause containers. */
static bool is_alone(const struct container *container)
{
	const struct container *other;

	LIST_FOREACH (other, &container->pod->containers, link)
		if (other != container && !other->is_pause)
			return false;
	return true;
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
	if (container->kill_answered && !is_alone(container))
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
	ev_timer_init(&container->kill_timer, on_kill_timeout, pod->config->kill_timeout_ms / 1e3,
	              0);
	container->kill_timer.data = container;
	LIST_INSERT_HEAD(&pod->containers, container, link);
	return container;
}

static void remove_exec(struct container *container, struct process *exec, const struct error *why)
{
	LIST_REMOVE(exec, link);
	container->n_execs--;
	process_destroy(exec, why);
}

void container_destroy(struct container *container, const struct error *why)
{
	struct process *exec;

	if (!container)
		return;
	ev_timer_stop(container->pod->loop, &container->kill_timer);
	LIST_REMOVE(container, link); /* first: who is told of the end of a process looks it up */
	while ((exec = LIST_FIRST(&container->execs)))
		remove_exec(container, exec, why);
	process_destroy(container->init, why);
	rootfs_destroy(container->rootfs);
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

void container_start_kill_timer(struct container *container)
{
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
