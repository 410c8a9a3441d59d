#include "agent/pod/container.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/freezer.h"
#include "agent/cgroup/limiter.h"
#include "agent/cgroup/oom.h"
#include "agent/launch/namespaces.h"
#include "agent/pod/bound_files.h"
#include "agent/pod/client.h"
#include "agent/pod/exec.h"
#include "agent/pod/host_limits.h"
#include "agent/pod/process.h"
#include "agent/pod/removal.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "proto/ttrpc/ttrpc_server.h"

enum container_state {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_STOPPED,
	CONTAINER_REMOVING,
};

struct container {
	struct ev_loop *loop;
	struct streams *streams;
	char *id;
	enum container_state state;
	Grpc__Spec *spec;
	const struct host_limits *limits;
	const struct client *client;
	const char *cgroup_mount;
	struct oom *oom;
	struct device_program *devices;
	uint32_t ports[3];
	bool is_alone;
	bool joins_pids;   /* a pid namespace that is there already */
	int pid_namespace; /* that one, until the launch; else -1 */
	struct cgroup *cgroup;
	struct freezer *freezer;
	struct limiter *limiter;
	struct oom_watch *oom_watch;
	struct process *init;
	struct exec_list *execs;
	struct ttrpc_call *starting; /* StartContainer, while it is under way */
	struct errand *refresh;      /* of its bound files, before that */
	done_fn *on_created;
	void *ctx; /* of on_created */
	struct removal removal;
};

static const char *const state_names[] = {
	[CONTAINER_CREATING] = "being created", [CONTAINER_CREATED] = "created",
	[CONTAINER_RUNNING] = "running",        [CONTAINER_STOPPED] = "stopped",
	[CONTAINER_REMOVING] = "being removed",
};

static const char *state_name(const struct container *container)
{
	return state_names[container->state];
}

static void container_set_state(struct container *container, enum container_state state)
{
	assert(state > container->state);
	log_debug("container id=%s from=\"%s\" to=\"%s\"", container->id, state_name(container),
	          state_names[state]);
	container->state = state;
}

int container_check_id(const char *id, struct error *err)
{
	size_t len = strlen(id);
	bool good = len > 0 && len <= CONTAINER_ID_MAX && isalnum((unsigned char)id[0]);

	for (const char *c = id; good && *c; c++)
		good = isalnum((unsigned char)*c) || strchr("_.-", *c);
	if (!good)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid id \"%s\": expected at most %d letters, digits, '_', '.' "
		                 "or '-', the first a letter or digit",
		                 id, CONTAINER_ID_MAX);
	return 0;
}

static bool has_own_pids(const struct container *container)
{
	return !container->joins_pids && namespaces_has(container->spec, NAMESPACE_PID) &&
	       !namespaces_pid_path(container->spec);
}

static void on_init_exited(void *ctx)
{
	struct container *container = ctx;
	struct error err;

	if (container->state == CONTAINER_REMOVING)
		return;
	container_set_state(container, CONTAINER_STOPPED);
	/* The kernel kills a pid namespace with its init; without one, what is left is killed here.
	 */
	if (!has_own_pids(container) && cgroup_kill(container->cgroup, &err) < 0)
		log_error("processes outlive their container id=%s cause=\"%s\"", container->id,
		          err.text);
}

static void on_init_created(void *ctx, const struct error *err)
{
	struct container *container = ctx;

	container_set_state(container, err ? CONTAINER_STOPPED : CONTAINER_CREATED);
	if (err)
		process_destroy(take_ptr(&container->init));
	container->on_created(container->ctx, err);
}

static int limit_cgroup(struct container *container, struct error *err)
{
	const Grpc__Linux *linux_spec = container->spec->linux;
	const Grpc__LinuxResources *resources = linux_spec ? linux_spec->resources : NULL;
	int r;

	/* Here and now: in an empty cgroup there is nothing to reclaim or to move. */
	r = cgroup_limit(container->cgroup, resources, err);
	if (r == 0)
		r = cgroup_restrict_devices(container->cgroup, resources, container->devices, err);
	return r;
}

/* A kernel without the memory controller has nothing to tell. */
static void watch_memory(struct container *container)
{
	struct error err;

	if (oom_watch_create(container->oom, container->id, cgroup_fd(container->cgroup),
	                     &container->oom_watch, &err) < 0)
		log_warn("out-of-memory kills stay unseen cause=\"%s\"", err.text);
}

int container_make_cgroup(struct container *container, struct error *err)
{
	const Grpc__Linux *linux_spec = container->spec->linux;
	const char *path = linux_spec ? linux_spec->cgroupspath : "";
	int r;

	r = cgroup_create(container->cgroup_mount, *path ? path : container->id, &container->cgroup,
	                  err);
	if (r < 0)
		return r;
	container->freezer = freezer_create(container->loop, container->cgroup);
	container->limiter =
		limiter_create(container->loop, container->cgroup, CONTAINER_UPDATE_TIMEOUT_MS);
	r = limit_cgroup(container, err);
	if (r < 0)
		cgroup_remove(container->cgroup, NULL); /* nothing has lived in it */
	else
		watch_memory(container);
	return r;
}

static int make_init(struct container *container, struct error *err)
{
	Grpc__Process process = *container->spec->process;
	autofree __attribute__((unused)) Grpc__POSIXRlimit **rlimits =
		host_limits_complete(container->limits, container->spec->process, &process);
	autoclose int guest_cgroup =
		open(container->cgroup_mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct process_config config = {
		.launch = {
			.id = container->id,
			.spec = container->spec,
			.process = &process,
			.rootfs = container->spec->root->path,
			.cgroup_fd = cgroup_fd(container->cgroup),
			.guest_cgroup_fd = guest_cgroup,
			.pid_namespace = container->pid_namespace,
		},
		.ports = { container->ports[0], container->ports[1], container->ports[2] },
		.by_calls = client_uses_calls(container->client, container->ports),
		.cgroup = container->cgroup,
		.oom = container->oom_watch,
	};

	return process_create(container->loop, container->streams, &config, on_init_created,
	                      on_init_exited, container, &container->init, err);
}

/* A removal_try_fn. A zombie is in no cgroup any more, but its status is still to be told. */
static int remove_now(void *ctx, struct error *err)
{
	struct container *container = ctx;

	if ((container->init && !process_exited(container->init)) ||
	    !exec_list_ended(container->execs) || limiter_busy(container->limiter))
		return -EBUSY;
	oom_watch_check(container->oom_watch); /* the count goes with the cgroup */
	return cgroup_remove(container->cgroup, err);
}

static struct container *container_new(struct ev_loop *loop, struct streams *streams,
                                       const struct container_config *config)
{
	struct container *container = mem_new(struct container);

	container->loop = loop;
	container->streams = streams;
	container->id = mem_strdup(config->id);
	container->spec = config->spec;
	container->limits = config->limits;
	container->client = config->client;
	container->cgroup_mount = config->cgroup_mount;
	container->oom = config->oom;
	container->devices = config->devices;
	container->is_alone = config->is_alone;
	container->pid_namespace = -1;
	memcpy(container->ports, config->ports, sizeof(container->ports));
	container->execs = exec_list_create();
	removal_init(&container->removal, loop, container->id, CONTAINER_REMOVE_TIMEOUT_MS,
	             remove_now, container);
	return container;
}

int container_create(struct ev_loop *loop, struct streams *streams,
                     const struct container_config *config, struct container **out,
                     struct error *err)
{
	autodestroy(container) struct container *container = container_new(loop, streams, config);

	if (!config->spec->process || !config->spec->root)
		return error_set(err, ERROR_INVALID_ARGUMENT, "the spec has no process or no root");
	*out = take_ptr(&container);
	return 0;
}

int container_launch(struct container *container, done_fn *created, void *ctx, struct error *err)
{
	int r;

	container->on_created = created;
	container->ctx = ctx;
	r = make_init(container, err);
	cleanup_close(&container->pid_namespace);
	if (r < 0)
		container_set_state(container, CONTAINER_STOPPED);
	return r;
}

void container_cancel_launch(struct container *container)
{
	process_destroy(take_ptr(&container->init));
	container_set_state(container, CONTAINER_STOPPED);
}

void container_join_pid_namespace(struct container *container, int pid_namespace)
{
	cleanup_close(&container->pid_namespace);
	container->joins_pids = true;
	container->pid_namespace = pid_namespace;
}

const Grpc__Spec *container_spec(const struct container *container)
{
	return container->spec;
}

const char *container_id(const struct container *container)
{
	return container->id;
}

struct cgroup *container_cgroup(const struct container *container)
{
	return container->cgroup;
}

static bool is_alive(const struct container *container)
{
	return container->state == CONTAINER_CREATED || container->state == CONTAINER_RUNNING;
}

int container_open_pid_namespace(const struct container *container, int *out, struct error *err)
{
	const struct launch *launch;
	int fd;

	if (!is_alive(container))
		return error_set(err, ERROR_FAILED_PRECONDITION, "it is %s", state_name(container));
	launch = process_launch(container->init);
	fd = namespaces_open_pid(launch_pid(launch), launch_pidfd(launch), err);
	if (fd < 0)
		return fd;
	*out = fd;
	return 0;
}

static bool paused(const struct container *container)
{
	return is_alive(container) && freezer_on(container->freezer);
}

static int require(const struct container *container, bool legal, const char *what,
                   struct error *err)
{
	if (legal)
		return 0;
	return error_set(err, ERROR_FAILED_PRECONDITION, "cannot %s container \"%s\": it is %s",
	                 what, container->id, paused(container) ? "paused" : state_name(container));
}

static void on_started(void *ctx, const struct error *err)
{
	struct container *container = ctx;
	struct ttrpc_call *call = take_ptr(&container->starting);

	ttrpc_call_finish(call, err);
}

static void on_refreshed(void *ctx, const struct error *err)
{
	struct container *container = ctx;
	struct error why;

	if (err)
		log_warn("bound files may be as they were a second ago id=%s cause=\"%s\"",
		         container->id, err->text);
	errand_destroy(take_ptr(&container->refresh));
	if (process_start(container->init, on_started, container, &why) < 0)
		on_started(container, &why);
}

static int start_init(struct container *container, struct error *err)
{
	if (container->is_alone && bound_files_any(container->spec))
		return bound_files_refresh(container->loop, container->spec, on_refreshed,
		                           container, &container->refresh, err);
	return process_start(container->init, on_started, container, err);
}

int container_start(struct container *container, struct ttrpc_call *call, struct error *err)
{
	int r;

	r = require(container, container->state == CONTAINER_CREATED && !paused(container), "start",
	            err);
	if (r == 0)
		r = start_init(container, err);
	if (r < 0)
		return r;
	container->starting = call;
	container_set_state(container, CONTAINER_RUNNING);
	return 0;
}

int container_exec(struct container *container, const char *exec_id, const Grpc__Process *process,
                   const uint32_t ports[3], struct ttrpc_call *call, struct error *err)
{
	const Grpc__Process *limited = process->n_rlimits ? process : container->spec->process;
	Grpc__Process completed = *process;
	autofree __attribute__((unused)) Grpc__POSIXRlimit **rlimits =
		host_limits_complete(container->limits, limited, &completed);
	struct process_config config = {
		.launch = {
			.id = container->id,
			.spec = container->spec,
			.process = &completed,
			.rootfs = container->spec->root->path,
			.cgroup_fd = cgroup_fd(container->cgroup),
		},
		.ports = { ports[0], ports[1], ports[2] },
		.by_calls = client_uses_calls(container->client, ports),
		.cgroup = container->cgroup,
		.oom = container->oom_watch,
	};
	int r;

	r = require(container, is_alive(container) && !paused(container), "exec in", err);
	if (r < 0)
		return r;
	config.launch.init = process_launch(container->init);
	return exec_start(container->execs, container->loop, container->streams, exec_id, &config,
	                  call, err);
}

int container_find(const struct container *container, const char *exec_id, struct process **out,
                   struct error *err)
{
	struct exec *exec = *exec_id ? exec_find(container->execs, exec_id) : NULL;

	if (exec)
		*out = exec_process(exec);
	else if (container->init && (!*exec_id || !strcmp(exec_id, container->id)))
		*out = container->init;
	else
		return error_set(err, ERROR_NOT_FOUND, "container \"%s\" has no process \"%s\"",
		                 container->id, exec_id);
	return 0;
}

int container_wait(struct container *container, const char *exec_id, struct ttrpc_call *call,
                   bool with_oom, struct error *err)
{
	struct exec *exec = *exec_id ? exec_find(container->execs, exec_id) : NULL;
	struct process *process = NULL;
	int r;

	if (exec) {
		exec_wait(exec, call, with_oom);
		return 0;
	}
	r = container_find(container, exec_id, &process, err);
	if (r == 0)
		process_wait(process, call, with_oom);
	return r;
}

int container_read(struct container *container, const char *exec_id, int which, uint32_t len,
                   struct ttrpc_call *call, struct error *err)
{
	struct exec *exec = *exec_id ? exec_find(container->execs, exec_id) : NULL;
	struct process *process = NULL;
	int r;

	if (exec)
		return exec_read(exec, which, len, call, err);
	r = container_find(container, exec_id, &process, err);
	if (r == 0)
		r = process_read(process, which, len, call, err);
	return r;
}

int container_kill(struct container *container, struct error *err)
{
	if (container->state >= CONTAINER_STOPPED)
		return error_set(err, ERROR_NOT_FOUND, "process already finished");
	return cgroup_kill(container->cgroup, err);
}

int container_signal_all(struct container *container, int sig, struct ttrpc_call *call,
                         struct error *err)
{
	int r;

	if (container->state >= CONTAINER_STOPPED)
		return error_set(err, ERROR_NOT_FOUND, "process already finished");
	if (sig != SIGKILL)
		return freezer_signal(container->freezer, sig, call, err);
	r = cgroup_kill(container->cgroup, err);
	if (r == 0)
		ttrpc_call_finish(call, NULL);
	return r;
}

int container_pause(struct container *container, struct ttrpc_call *call, struct error *err)
{
	int r;

	r = require(container, is_alive(container) && !paused(container), "pause", err);
	if (r == 0)
		r = freezer_freeze(container->freezer, call, err);
	return r;
}

int container_resume(struct container *container, struct error *err)
{
	int r;

	r = require(container, paused(container), "resume", err);
	if (r == 0)
		r = freezer_thaw(container->freezer, err);
	return r;
}

int container_update(struct container *container, const Grpc__LinuxResources *resources,
                     done_fn *done, void *ctx, struct error *err)
{
	int r;

	r = require(container, is_alive(container), "update", err);
	if (r == 0)
		r = limiter_change(container->limiter, resources, done, ctx, err);
	return r;
}

static const struct error *removed(const struct container *container, struct error *err)
{
	error_set(err, ERROR_ABORTED, "container \"%s\" was removed", container->id);
	return err;
}

int container_remove(struct container *container, done_fn *done, void *ctx, struct error *err)
{
	bool busy = container->state == CONTAINER_CREATING || removal_active(&container->removal);
	struct error why;
	int r;

	r = require(container, !busy, "remove", err);
	if (r == 0)
		r = cgroup_kill(container->cgroup, err);
	if (r < 0)
		return r;
	if (container->state != CONTAINER_REMOVING)
		container_set_state(container, CONTAINER_REMOVING);
	limiter_cancel(container->limiter, removed(container, &why));
	removal_start(&container->removal, done, ctx);
	return 0;
}

void container_destroy(struct container *container)
{
	struct error err;

	if (!container)
		return;
	removal_stop(&container->removal);
	errand_destroy(container->refresh);
	removed(container, &err);
	if (container->starting)
		ttrpc_call_fail(container->starting, &err);
	if (container->limiter)
		limiter_cancel(container->limiter, &err);
	exec_list_destroy(container->execs, &err);
	process_destroy(container->init);
	oom_watch_destroy(container->oom_watch);
	freezer_destroy(container->freezer);
	limiter_destroy(container->limiter);
	cgroup_destroy(container->cgroup);
	cleanup_close(&container->pid_namespace);
	if (container->spec)
		grpc__spec__free_unpacked(container->spec, NULL);
	free(container->id);
	free(container);
}
