#include "shim/task/create.h"

#include <string.h>

#include "common/log.h"
#include "common/loop/seq.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "shim/config/config.h"
#include "shim/config/runtime_options.h"
#include "shim/pod/container.h"
#include "shim/pod/events.h"
#include "shim/pod/pod.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/bundle.h"
#include "shim/spec/guest_spec.h"
#include "shim/stdio/stdio.h"
#include "shim/storage/rootfs.h"
#include "shim/storage/volumes.h"

#define ID_MAX 76 /* containerd's own limit of an identifier (pkg/identifiers) */

struct create {
	struct pod *pod;
	struct ttrpc_call *call;
	const Containerd__Task__V2__CreateTaskRequest *request; /* the call's */
	struct container *container;
	struct volumes *volumes; /* NULL: none */
	struct seq *seq;
	struct agent_call *pending;
	struct sandbox_waiter waiter;
	bool waits; /* @waiter is listed */
};

static void create_free(struct create *create)
{
	if (create->waits)
		LIST_REMOVE(&create->waiter, link);
	agent_forget(create->pending);
	seq_destroy(create->seq);
	volumes_destroy(create->volumes);
	free(create);
}

/* The container goes while it is being made. */
static void create_abandon(void *ctx, const struct error *why)
{
	struct create *create = ctx;

	ttrpc_call_fail(create->call, why);
	create_free(create);
}

static void mount_rootfs(struct seq *seq, void *ctx)
{
	struct create *create = ctx;
	struct container *container = create->container;
	autofree char *dir = mem_printf("%s/%s", create->pod->share_dir, container->id);
	const struct rootfs_config config = {
		.dir = dir,
		.mounts = create->request->rootfs,
		.n_mounts = create->request->n_rootfs,
		.path = bundle_rootfs(container->bundle),
		.volumes = create->volumes,
		.timeout_ms = create->pod->config->mount_timeout_ms,
	};
	struct error err;

	if (rootfs_mount(create->pod->loop, &config, seq_resume, seq, &container->rootfs, &err) < 0)
		seq_fail(seq, &err);
}

static void unmount_rootfs(struct seq *seq, void *ctx)
{
	struct create *create = ctx;
	struct error err;

	if (rootfs_unmount(create->container->rootfs, create->pod->config->mount_timeout_ms,
	                   seq_resume, seq, &err) < 0)
		seq_fail(seq, &err);
}

static void on_guest_ready(void *ctx, const struct error *err)
{
	struct create *create = ctx;

	create->waits = false;
	seq_resume(create->seq, err);
}

static void wait_for_guest(struct seq *seq, void *ctx)
{
	struct create *create = ctx;

	create->waits = true;
	sandbox_when_ready(create->pod->sandbox, &create->waiter, on_guest_ready, create);
}

static void open_stdio(struct seq *seq, void *ctx)
{
	struct create *create = ctx;
	struct process *init = create->container->init;
	const struct stdio_config config = {
		.in = init->paths.in,
		.out = init->paths.out,
		.err = init->paths.err,
		.terminal = init->paths.terminal,
		.id = create->container->id,
		.config = create->pod->config,
		.ns = create->pod->ns,
	};
	struct error err;

	if (stdio_open(create->pod->loop, sandbox_vsock(create->pod->sandbox), &config, seq_resume,
	               seq, &init->stdio, &err) < 0)
		seq_fail(seq, &err);
}

static void on_guest_answer(void *ctx, const struct error *err)
{
	struct create *create = ctx;
	struct error own;

	create->pending = NULL;
	if (err && err->code == ERROR_NOT_FOUND) { /* not of what containerd asks for */
		error_copy(&own, err);
		own.code = ERROR_UNKNOWN;
		err = &own;
	}
	seq_resume(create->seq, err);
}

static void create_in_guest(struct seq *seq, void *ctx)
{
	struct create *create = ctx;
	struct container *container = create->container;
	const struct stdio_ports *ports = stdio_ports(container->init->stdio);
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	struct error err;

	request.container_id = container->id;
	request.exec_id = container->init->guest_id;
	request.oci = bundle_spec(container->bundle);
	request.stdin_port = ports->in;
	request.stdout_port = ports->out;
	request.stderr_port = ports->err;
	if (agent_create_container(sandbox_agent(create->pod->sandbox), &request, on_guest_answer,
	                           create, &create->pending, &err) < 0)
		seq_fail(seq, &err);
}

static void remove_from_guest(struct seq *seq, void *ctx)
{
	struct create *create = ctx;
	struct error err;

	process_unwatch(create->container->init); /* it was never announced */
	if (agent_remove_container(sandbox_agent(create->pod->sandbox), create->container->id,
	                           on_guest_answer, create, &create->pending, &err) < 0)
		seq_fail(seq, &err);
}

static void open_stdin(struct seq *seq, void *ctx)
{
	struct create *create = ctx;
	struct process *init = create->container->init;
	struct error err;

	if (stdio_open_stdin(init->stdio, init->paths.in, &err) < 0 ||
	    process_watch(init, sandbox_agent(create->pod->sandbox), &err) < 0)
		seq_fail(seq, &err);
	else
		seq_next(seq);
}

/* Whoever asked, a containerd that was killed perhaps, has no answer and comes back believing that
 * there is no container: nobody would ever delete it. */
static void see_who_asks(struct seq *seq, void *ctx)
{
	struct create *create = ctx;
	struct error err;

	if (ttrpc_call_is_orphan(create->call)) {
		error_set(&err, ERROR_CANCELED, "whoever asked for the container has gone");
		seq_fail(seq, &err);
	} else {
		seq_next(seq);
	}
}

/* Nothing is cancelled: each step has its own deadline, and the loss of the guest ends them all.
 */
/* clang-format off */
static const struct seq_step create_steps[] = {
	{ "mount the file systems", mount_rootfs, unmount_rootfs, NULL },
	{ "wait for the guest", wait_for_guest, NULL, NULL },
	{ "open the streams", open_stdio, NULL, NULL },
	{ "create in the guest", create_in_guest, remove_from_guest, NULL },
	{ "open stdin", open_stdin, NULL, NULL },
	{ "see who asks", see_who_asks, NULL, NULL },
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
	event.pid = create->container->init->pid;
	events_publish(create->pod->events, "/tasks/create", &event.base);
}

static void succeed(struct create *create)
{
	Containerd__Task__V2__CreateTaskResponse response =
		CONTAINERD__TASK__V2__CREATE_TASK_RESPONSE__INIT;
	struct container *container = create->container;

	container->created = true;
	container->spec = take_ptr(&bundle_spec(container->bundle)->process);
	container->init->pid = (uint32_t)sandbox_pid(create->pod->sandbox);
	bundle_destroy(take_ptr(&container->bundle));
	publish_create(create);
	response.pid = container->init->pid;
	ttrpc_call_reply(create->call, &response.base);
	create_free(create);
	turn_over(&container->init->turn);
}

/* A pod without a container ends, and says why to whoever asks for one again: a containerd that was
 * told version 3 takes Unimplemented for an older API, and shows what that answers to Create. */
static void note_failure(struct pod *pod, const struct error *err)
{
	if (LIST_EMPTY(&pod->containers))
		error_copy(&pod->failure, err);
	pod->on_change(pod->ctx);
}

static void fail(struct create *create, const struct error *err)
{
	struct pod *pod = create->pod;
	struct container *container = create->container;
	struct error cause;

	error_copy(&cause, err); /* @err may be of what is destroyed */
	ttrpc_call_fail(create->call, &cause);
	create_free(create);
	turn_leave(&container->init->turn);
	container_destroy(container, NULL);
	note_failure(pod, &cause);
}

static void on_explained(void *ctx, const struct error *err)
{
	struct create *create = ctx;

	create->waits = false;
	fail(create, err);
}

static void on_created(void *ctx, const struct error *err)
{
	struct create *create = ctx;

	if (!err) {
		succeed(create);
		return;
	}
	create->waits = true;
	sandbox_explain(create->pod->sandbox, err, &create->waiter, on_explained, create);
}

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
		return error_set(err, ERROR_INVALID_ARGUMENT, "'%s' is no id of a container",
		                 request->id);
	if (*request->checkpoint)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "restoring a checkpoint ('%s') is not supported: a virtual "
		                 "machine's processes cannot be checkpointed",
		                 request->checkpoint);
	if (check_options(request->options, err) < 0)
		return error_code_errno(err->code);
	if (pod_container(pod, request->id))
		return error_set(err, ERROR_ALREADY_EXISTS,
		                 "container with given ID already exists");
	if (!LIST_EMPTY(&pod->containers))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "a second container in one virtual machine is not supported");
	return 0;
}

static int check_netns(const char *netns, struct error *err)
{
	if (!netns)
		return 0;
	return error_set(err, ERROR_UNIMPLEMENTED,
	                 "linux.namespaces network: joining '%s' is not supported yet", netns);
}

/* The bundle as the guest is to see it. */
static int load_bundle(const Containerd__Task__V2__CreateTaskRequest *request, struct bundle **out,
                       struct volumes **out_volumes, struct error *err)
{
	autodestroy(bundle) struct bundle *bundle = NULL;
	autodestroy(volumes) struct volumes *volumes = NULL;
	autofree char *netns = NULL;
	Grpc__Spec *spec;

	if (bundle_load(request->bundle, &bundle, err) < 0)
		return error_code_errno(err->code);
	spec = bundle_spec(bundle);
	if (!spec->process)
		return error_set(err, ERROR_INVALID_ARGUMENT, "bundle '%s': no process to run",
		                 request->bundle);
	spec->process->terminal = request->terminal;
	if (volumes_take(spec, request->id, bundle_dir(bundle), &volumes, err) < 0 ||
	    guest_spec_apply(spec, request->id, &netns, err) < 0 || check_netns(netns, err) < 0)
		return error_wrap(err, "bundle '%s': config.json", request->bundle);
	*out = take_ptr(&bundle);
	*out_volumes = take_ptr(&volumes);
	return 0;
}

void create_run(struct pod *pod, struct ttrpc_call *call,
                const Containerd__Task__V2__CreateTaskRequest *request)
{
	autofree char *title = mem_printf("create container=%s", request->id);
	const struct process_stdio paths = {
		.in = request->stdin,
		.out = request->stdout,
		.err = request->stderr,
		.terminal = request->terminal,
	};
	struct bundle *bundle = NULL;
	struct volumes *volumes = NULL;
	struct create *create;
	struct error err;

	if (LIST_EMPTY(&pod->containers) && pod->failure.code) {
		ttrpc_call_fail(call, &pod->failure);
		return;
	}
	if (check_request(pod, request, &err) < 0 ||
	    load_bundle(request, &bundle, &volumes, &err) < 0) {
		ttrpc_call_fail(call, &err);
		note_failure(pod, &err);
		return;
	}
	create = mem_new(struct create);
	create->pod = pod;
	create->call = call;
	create->request = request;
	create->container = container_create(pod, request->id, request->bundle, &paths);
	create->container->bundle = bundle;
	create->volumes = volumes;
	turn_take(&create->container->init->turn, create_abandon, create);
	create->seq = seq_create(title, create_steps, create, on_created);
	seq_start(create->seq);
}
