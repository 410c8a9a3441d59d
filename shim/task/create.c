#include "shim/task/create.h"

#include <assert.h>
#include <string.h>

#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "proto/features.h"
#include "shim/config/config.h"
#include "shim/config/runtime_options.h"
#include "shim/network/netns.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/container.h"
#include "shim/pod/disk_set.h"
#include "shim/pod/disks.h"
#include "shim/pod/events.h"
#include "shim/pod/hooks.h"
#include "shim/pod/pod.h"
#include "shim/pod/pod_files.h"
#include "shim/pod/pod_limits.h"
#include "shim/pod/sandbox.h"
#include "shim/pod/shared_namespaces.h"
#include "shim/spec/bundle.h"
#include "shim/spec/guest_spec.h"
#include "shim/stdio/stdio.h"
#include "shim/storage/root_disks.h"
#include "shim/storage/rootfs.h"
#include "shim/storage/volumes.h"
#include "shim/task/create_disks.h"
#include "shim/task/operation.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define ID_MAX      76 /* containerd's own limit of an identifier (pkg/identifiers) */

struct create {
	struct operation operation;                             /* of the init */
	const Containerd__Task__V2__CreateTaskRequest *request; /* the call's */
	struct volumes *volumes;                                /* NULL: none */
	struct create_disks *disks;                             /* NULL: of a pause container */
	struct hooks *hooks; /* NULL: none; the container's later */
	char *resolv_conf;   /* the same */
	char *pid_of;        /* the container whose pid namespace it joins; NULL: none */
};

static void create_fini(struct operation *operation)
{
	struct create *create = (struct create *)operation;

	volumes_destroy(create->volumes);
	create_disks_destroy(create->disks);
	hooks_destroy(create->hooks);
	free(create->resolv_conf);
	free(create->pid_of);
}

static void mount_rootfs(struct seq *seq, void *ctx)
{
	struct create *create = ctx;
	const struct pod *pod = create->operation.pod;
	struct container *container = create->operation.process->container;
	autofree char *dir = mem_printf("%s/%s", pod->share_dir, container->id);
	const struct rootfs_config config = {
		.dir = dir,
		.mounts = create->request->rootfs,
		.n_mounts = create->request->n_rootfs,
		.disks = create_disks_root(create->disks),
		.in_guest = create_disks_has_guest_root(create->disks),
		.path = bundle_rootfs(container->bundle),
		.volumes = take_ptr(&create->volumes),
		.volume_table = pod->volumes,
		.volume_copies = pod->volume_copies,
		.timeout_ms = pod->config->mount_timeout_ms,
	};
	struct error err;

	if (rootfs_mount(pod->loop, &config, seq_resume, seq, &container->rootfs, &err) < 0)
		seq_fail(seq, &err);
}

static void unmount_rootfs(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	struct error err;

	if (rootfs_unmount(operation->process->container->rootfs,
	                   operation->pod->config->mount_timeout_ms, seq_resume, seq, &err) < 0)
		seq_fail(seq, &err);
}

/* What fails later leaves the memory that has come to the next container. */
static void make_room(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	struct bundle *bundle = operation->process->container->bundle;

	if (bundle_type(bundle) == BUNDLE_SINGLE && bundle_spec(bundle)->linux)
		pod_limits_share(operation->pod, bundle_spec(bundle)->linux->resources);
	operation_make_room(ctx);
}

static void plug_disks(struct seq *seq, void *ctx)
{
	const struct create *create = ctx;
	const struct pod *pod = create->operation.pod;
	struct container *container = create->operation.process->container;
	struct error err;

	if (!create_disks_any(create->disks)) {
		seq_next(seq);
		return;
	}
	container->disks = disk_set_create(pod->loop, pod->config->mount_timeout_ms);
	if (create_disks_list(create->disks, container->disks, &err) < 0)
		seq_fail(seq, &err);
	else
		disk_set_plug(container->disks, sandbox_disks(pod->sandbox), seq_resume, seq);
}

static void unplug_disks(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	struct container *container = operation->process->container;

	if (container->disks)
		disk_set_unplug(container->disks, seq_resume, seq);
	else
		seq_next(seq);
}

static void name_volumes(const struct container *container, Grpc__CreateContainerRequest *request)
{
	bool of_pod = bundle_type(container->bundle) == BUNDLE_CONTAINER;
	unsigned int features = agent_features(sandbox_agent(container->pod->sandbox)) &
	                        (of_pod ? ~0U : FEATURE_DEVICE_STORAGES);
	struct volumes *volumes = rootfs_volumes(container->rootfs);

	if (!volumes)
		return;
	volumes_name(volumes, features, bundle_spec(container->bundle));
	request->n_storages = volumes_storages(volumes, &request->storages);
}

/* Those that are left in the spec: the guest's agent runs them in the container. */
static int check_hooks(const struct container *container, struct error *err)
{
	const Grpc__Hooks *hooks = bundle_spec(container->bundle)->hooks;

	if (!hooks || hooks->n_createcontainer + hooks->n_startcontainer == 0 ||
	    agent_has(sandbox_agent(container->pod->sandbox), FEATURE_CONTAINER_HOOKS))
		return 0;
	return error_set(err, ERROR_UNIMPLEMENTED,
	                 "hooks.createContainer, hooks.startContainer: not supported by the "
	                 "guest's agent");
}

static void create_in_guest(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;
	struct create *create = ctx;
	struct process *init = operation->process;
	const struct stdio_ports *ports = stdio_ports(init->stdio);
	struct agent *agent = sandbox_agent(operation->pod->sandbox);
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	struct error err;

	name_volumes(init->container, &request);
	request.container_id = init->container_id;
	request.exec_id = init->guest_id;
	request.oci = bundle_spec(init->container->bundle);
	guest_spec_drop_cpuset(request.oci->linux->resources);
	if (!agent_has(agent, FEATURE_PID_NAMESPACE_OF))
		request.sandbox_pidns = guest_spec_for_upstream(request.oci);
	request.stdin_port = ports->in;
	request.stdout_port = ports->out;
	request.stderr_port = ports->err;
	if (create->pid_of)
		request.pid_namespace_of = create->pid_of;
	if (create_disks_name(create->disks, init->container->disks, init->container_id,
	                      request.oci, &request, &err) < 0 ||
	    check_hooks(init->container, &err) < 0 ||
	    agent_create_container(agent, &request, operation_answered, operation,
	                           &operation->pending, &err) < 0)
		seq_fail(seq, &err);
}

static void remove_from_guest(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;

	process_unwatch(operation->process); /* it was never announced */
	operation_ask(operation, agent_remove_container, operation_answered);
}

/* The pid that they get is the placeholder's. */
static void await_pid(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;

	if (operation->process->container->hooks)
		operation_await_placeholder(seq, ctx);
	else
		seq_next(seq);
}

static void prepare_hooks(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	struct error err;

	seq_resume(seq,
	           hooks_make_due(operation->process->container->hooks, &err) < 0 ? &err : NULL);
}

static void run_hooks(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	const struct process *init = operation->process;
	const struct pod *pod = operation->pod;

	hooks_run(init->container->hooks, pod->loop, HOOKS_CREATE, (pid_t)init->pid,
	          &pod->host_mounts, seq_resume, seq);
}

/* A containerd that was killed before the answer does not know the container after its restart, and
 * would never delete it. */
static void check_caller(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;
	struct error err;

	if (ttrpc_call_is_orphan(operation->call)) {
		error_set(&err, ERROR_CANCELED,
		          "the client that requested the container has disconnected");
		seq_fail(seq, &err);
	} else {
		seq_next(seq);
	}
}

/* Nothing is cancelled: each step has its own deadline, and the loss of the guest ends them all.
 */
/* clang-format off */
static const struct seq_step pause_steps[] = {
	{ "start the placeholder", operation_start_placeholder, operation_end_placeholders, NULL },
	{ "await the pid", await_pid, NULL, NULL },
	{ "prepare the hooks", prepare_hooks, operation_run_poststop_hooks, NULL },
	{ "run the hooks", run_hooks, NULL, NULL },
	{ "wait for the guest", operation_wait_for_guest, NULL, NULL },
	{ "await the placeholder", operation_await_placeholder, NULL, NULL },
	{ "check the caller", check_caller, NULL, NULL },
	{ 0 },
};

static const struct seq_step create_steps[] = {
	{ "mount the file systems", mount_rootfs, unmount_rootfs, NULL },
	{ "start the placeholder", operation_start_placeholder, operation_end_placeholders, NULL },
	{ "await the pid", await_pid, NULL, NULL },
	{ "prepare the hooks", prepare_hooks, operation_run_poststop_hooks, NULL },
	{ "run the hooks", run_hooks, NULL, NULL },
	{ "wait for the guest", operation_wait_for_guest, NULL, NULL },
	{ "await the placeholder", operation_await_placeholder, NULL, NULL },
	{ "make room in the machine", make_room, NULL, NULL },
	{ "plug the disks", plug_disks, unplug_disks, NULL },
	{ "open the streams", operation_open_streams, NULL, NULL },
	{ "open stdin", operation_open_stdin, NULL, NULL },
	{ "create in the guest", create_in_guest, remove_from_guest, NULL },
	{ "watch the process", operation_watch, NULL, NULL },
	{ "await the placeholder", operation_await_placeholder, NULL, NULL }, /* is it still there? */
	{ "check the caller", check_caller, NULL, NULL },
	{ 0 },
};
/* clang-format on */

static void publish_create(const struct create *create)
{
	const Containerd__Task__V2__CreateTaskRequest *request = create->request;
	Containerd__Events__TaskCreate event = CONTAINERD__EVENTS__TASK_CREATE__INIT;
	Containerd__Events__TaskIO io = CONTAINERD__EVENTS__TASK_IO__INIT;

	io.stdin = request->stdin;
	io.stdout = request->stdout;
	io.stderr = request->stderr;
	io.terminal = request->terminal;
	event.container_id = request->id;
	event.bundle = request->bundle;
	event.rootfs = request->rootfs;
	event.n_rootfs = request->n_rootfs;
	event.io = &io;
	event.checkpoint = request->checkpoint;
	event.pid = create->operation.process->pid;
	events_publish(create->operation.pod->events, "/tasks/create", &event.base);
}

static void create_succeed(struct operation *operation)
{
	Containerd__Task__V2__CreateTaskResponse response =
		CONTAINERD__TASK__V2__CREATE_TASK_RESPONSE__INIT;
	struct process *init = operation->process;
	struct container *container = init->container;

	container->created = true;
	container->spec = take_ptr(&bundle_spec(container->bundle)->process);
	bundle_destroy(take_ptr(&container->bundle));
	container_write_pid_file(container);
	publish_create((const struct create *)operation);
	response.pid = init->pid;
	ttrpc_call_reply(operation->call, &response.base);
}

/* A pod without a container ends, and says why to whoever asks for one again: a containerd that was
 * told version 3 takes Unimplemented for an older API, and shows what that answers to Create. */
static void note_failure(struct pod *pod, const struct error *err)
{
	if (pod_is_empty(pod))
		error_copy(&pod->failure, err);
	pod->on_change(pod->ctx);
}

static void create_leave(struct pod *pod, struct process *init, const struct error *err)
{
	if (!err) {
		turn_over(&init->turn);
		return;
	}
	turn_leave(&init->turn);
	container_destroy(init->container, NULL);
	note_failure(pod, err);
}

static const struct operation_kind create_kind = {
	.name = "create",
	.steps = create_steps,
	.succeed = create_succeed,
	.fini = create_fini,
	.leave = create_leave,
};

static const struct operation_kind pause_kind = {
	.name = "create",
	.steps = pause_steps,
	.succeed = create_succeed,
	.fini = create_fini,
	.leave = create_leave,
};

/* The machine was configured by those that `start` has got; here are the task's own as well. */
static int check_options(const Google__Protobuf__Any *any, struct error *err)
{
	struct runtime_options options;
	int r = runtime_options_read(any, &options, err);

	runtime_options_fini(&options);
	return r;
}

static int check_request(const struct pod *pod,
                         const Containerd__Task__V2__CreateTaskRequest *request, struct error *err)
{
	size_t len = strlen(request->id);

	if (!len || len > ID_MAX || strchr(request->id, '/') || *request->id == '.')
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid container id \"%s\": expected 1 to %d characters without "
		                 "'/' and without a leading '.'",
		                 request->id, ID_MAX);
	if (*request->checkpoint)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "restoring checkpoint \"%s\": not supported; the processes are in "
		                 "a virtual machine",
		                 request->checkpoint);
	if (check_options(request->options, err) < 0)
		return error_code_errno(err->code);
	if (container_lookup(pod, request->id))
		return error_set(err, ERROR_ALREADY_EXISTS,
		                 "container with given ID already exists");
	return 0;
}

static int check_netns(const struct pod *pod, const char *netns, struct error *err)
{
	if (netns && netns_check(pod->netns, netns, err) < 0)
		return error_wrap(err, "linux.namespaces network");
	return 0;
}

/* The host's file that the container sees as its resolv.conf; NULL: there is none. */
static char *resolv_conf_of(const Grpc__Spec *spec)
{
	for (size_t i = spec->n_mounts; i > 0; i--) /* the last one covers others */
		if (!strcmp(spec->mounts[i - 1]->destination, RESOLV_CONF))
			return *spec->mounts[i - 1]->source == '/'
			               ? mem_strdup(spec->mounts[i - 1]->source)
			               : NULL;
	return NULL;
}

/* How many disks of the machine a root file system may be on. What the guest has now is known when
 * it is ready. */
static size_t room_for_root(const struct pod *pod)
{
	size_t room = ROOT_DISKS_IN_GUEST;

	if (pod->config->disable_block_device_use)
		return 0;
	if (pod->sandbox && sandbox_state(pod->sandbox) == SANDBOX_READY &&
	    disks_room(sandbox_disks(pod->sandbox)) < room)
		room = disks_room(sandbox_disks(pod->sandbox));
	return room;
}

/* The spec as the guest is to see it. */
static int prepare_spec(const struct pod *pod, struct bundle *bundle, struct create *create,
                        struct error *err)
{
	const Containerd__Task__V2__CreateTaskRequest *request = create->request;
	Grpc__Spec *spec = bundle_spec(bundle);
	autofree char *netns = NULL;
	const char *pid_of = NULL;

	if (!spec->process)
		return error_set(err, ERROR_INVALID_ARGUMENT, "no process to run");
	spec->process->terminal = request->terminal;
	if (hooks_take(spec, request->id, bundle_dir(bundle), &create->hooks, err) < 0)
		return error_code_errno(err->code);
	if (bundle_type(bundle) == BUNDLE_SANDBOX) /* it is not the guest's */
		return 0;
	if (bundle_type(bundle) == BUNDLE_CONTAINER &&
	    shared_namespaces_apply(pod, spec, &pid_of, err) < 0)
		return error_code_errno(err->code);
	create->pid_of = pid_of ? mem_strdup(pid_of) : NULL;
	if (pod->files)
		pod_files_bind(pod->files, spec);
	create->resolv_conf = resolv_conf_of(spec);
	if (create_disks_take(spec, request->id, request->rootfs, request->n_rootfs,
	                      room_for_root(pod), &create->disks, err) < 0 ||
	    volumes_take(spec, bundle_dir(bundle), pod->shared.shm, &create->volumes, err) < 0)
		return error_code_errno(err->code);
	create_disks_bind(create->disks);
	if (guest_spec_apply(spec, request->id, &netns, err) < 0 ||
	    check_netns(pod, netns, err) < 0)
		return error_code_errno(err->code);
	return 0;
}

/* Where options come to Create alone the pod begins with them. */
static int begin_pod(struct pod *pod, const Containerd__Task__V2__CreateTaskRequest *request,
                     struct bundle *bundle, struct error *err)
{
	if (pod->is_sandbox || bundle_type(bundle) == BUNDLE_CONTAINER)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "invalid container \"%s\": sandbox \"%s\" is not created",
		                 request->id, pod->id);
	return pod->on_begin(pod->ctx, bundle, request->options, err);
}

static int load_bundle(struct pod *pod, struct create *create, struct bundle **out,
                       struct error *err)
{
	const Containerd__Task__V2__CreateTaskRequest *request = create->request;
	autodestroy(bundle) struct bundle *bundle = NULL;

	if (bundle_load(request->bundle, &bundle, err) < 0 ||
	    (!pod->policy && begin_pod(pod, request, bundle, err) < 0))
		return error_code_errno(err->code);
	assert(pod->policy);
	if (pod->policy->takes(pod, request->id, bundle, err) < 0)
		return error_code_errno(err->code);
	if (prepare_spec(pod, bundle, create, err) < 0)
		return error_wrap(err, "bundle \"%s\": config.json", request->bundle);
	*out = take_ptr(&bundle);
	return 0;
}

static void refuse(struct pod *pod, struct create *create, struct ttrpc_call *call,
                   const struct error *err)
{
	create_fini(&create->operation);
	free(create);
	ttrpc_call_fail(call, err);
	note_failure(pod, err);
}

static void set_limits(struct container *container, const Grpc__LinuxResources *resources)
{
	const struct vm_limits limits = vm_limits_of(resources);
	const cpu_set_t cpus = guest_spec_cpuset(resources);

	container_set_limits(container, &limits, &cpus);
}

void create_run(struct pod *pod, struct ttrpc_call *call,
                const Containerd__Task__V2__CreateTaskRequest *request)
{
	const struct process_stdio paths = {
		.in = request->stdin,
		.out = request->stdout,
		.err = request->stderr,
		.terminal = request->terminal,
	};
	struct bundle *bundle = NULL;
	struct container *container;
	struct create *create;
	struct error err;

	if (pod->failure.code && pod_is_empty(pod)) {
		ttrpc_call_fail(call, &pod->failure);
		return;
	}
	create = mem_new(struct create);
	create->request = request;
	if (check_request(pod, request, &err) < 0 || load_bundle(pod, create, &bundle, &err) < 0) {
		refuse(pod, create, call, &err);
		return;
	}
	container = container_create(pod, request->id, request->bundle, &paths);
	container->bundle = bundle;
	container->hooks = take_ptr(&create->hooks);
	container->resolv_conf = take_ptr(&create->resolv_conf);
	container->is_pause = bundle_type(bundle) == BUNDLE_SANDBOX;
	if (!container->is_pause && bundle_spec(bundle)->linux)
		set_limits(container, bundle_spec(bundle)->linux->resources);
	operation_run(&create->operation, container->is_pause ? &pause_kind : &create_kind, pod,
	              container->init, call);
}
