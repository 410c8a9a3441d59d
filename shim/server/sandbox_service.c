#include "shim/server/sandbox_service.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/mem.h"
#include "proto/sandbox_v1.pb-c.h"
#include "shim/network/netns.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/pod/pod_files.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/bundle.h"
#include "shim/spec/pod_config.h"
#include "shim/task/operation.h"
#include "shim/task/stats.h"
#include "shim/task/wait.h"

#define SHM_BYTES    (64U << 20) /* as containerd has it for other sandboxers */
#define FILE_MODE    0600
#define STATUS_ASKED 0 /* of a sandbox that was asked to end */

#define T(name) Containerd__Runtime__Sandbox__V1__##name

/* A call about the pod's sandbox, in a state that allows it. */
struct sandbox_call {
	struct pod *pod;
	struct container *pause; /* NULL: it is not made */
	struct ttrpc_call *call;
	const ProtobufCMessage *request;
};

static Google__Protobuf__Timestamp timestamp_of(const struct timespec *time)
{
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	at.seconds = time->tv_sec;
	at.nanos = (int32_t)time->tv_nsec;
	return at;
}

/* CreateSandbox */

/* containerd's directory for what a shim has on disk: it goes with the bundle. */
static char *work_dir(const struct bundle *bundle)
{
	autofree char *work = mem_printf("%s/work", bundle_dir(bundle));
	struct stat st;

	return stat(work, &st) == 0 && S_ISDIR(st.st_mode) ? take_ptr(&work)
	                                                   : mem_strdup(bundle_dir(bundle));
}

static int make_files(struct pod *pod, struct bundle *bundle, const struct pod_config *config,
                      struct error *err)
{
	autofree char *dir = work_dir(bundle);
	autofree char *resolv_conf = pod_config_resolv_conf(config);
	const struct pod_files_config files = {
		.id = pod->id,
		.dir = dir,
		.hostname = bundle_spec(bundle)->hostname,
		.resolv_conf = resolv_conf,
	};

	pod_files_destroy(take_ptr(&pod->files));
	return pod_files_create(&files, &pod->files, err);
}

static int keep_netns_path(const T(CreateSandboxRequest) * request, struct error *err)
{
	autofree char *path = mem_printf("%s/" SANDBOX_NETNS_FILE, request->bundle_path);

	return file_write(AT_FDCWD, path, FILE_MODE, request->netns_path,
	                  strlen(request->netns_path), err);
}

static int begin(struct pod *pod, const T(CreateSandboxRequest) * request, struct error *err)
{
	autodestroy(pod_config) struct pod_config *config = NULL;
	autodestroy(bundle) struct bundle *bundle = NULL;

	if (request->n_rootfs)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "a root file system of the sandbox: not supported");
	if (pod_config_read(request->options, &config, err) < 0 ||
	    bundle_make(request->bundle_path, pod_config_spec(config, pod->id, request->netns_path),
	                POD_CONFIG_TYPE, &bundle, err) < 0 ||
	    make_files(pod, bundle, config, err) < 0 || keep_netns_path(request, err) < 0)
		return error_code_errno(err->code);
	if (!pod->shared.shm)
		shared_paths_set_shm(&pod->shared, SHM_BYTES);
	return pod->on_begin(pod->ctx, bundle, NULL, err);
}

static void make_pause(struct pod *pod, const char *bundle_dir)
{
	const struct process_stdio none = { .in = "", .out = "", .err = "" };
	struct container *pause = container_create(pod, pod->id, bundle_dir, &none);

	pause->is_pause = true;
	pause->created = true;
	pause->init->is_no_task = true;
	clock_gettime(CLOCK_REALTIME, &pod->created_at);
}

static void sandbox_create(const struct sandbox_call *sandbox)
{
	const T(CreateSandboxRequest) *request = (const void *)sandbox->request;
	struct error err;

	if (sandbox->pause)
		error_set(&err, ERROR_ALREADY_EXISTS, "sandbox \"%s\" exists already",
		          sandbox->pod->id);
	else if (begin(sandbox->pod, request, &err) == 0)
		err.code = ERROR_NONE;
	if (err.code) {
		ttrpc_call_fail(sandbox->call, &err);
		return;
	}
	make_pause(sandbox->pod, request->bundle_path);
	ttrpc_call_finish(sandbox->call, NULL);
}

/* StartSandbox */

/* Nothing is cancelled: each step has its own deadline, and the loss of the guest ends them all. */
/* clang-format off */
static const struct seq_step start_steps[] = {
	{ "start the placeholder", operation_start_placeholder, operation_end_placeholders, NULL },
	{ "wait for the guest", operation_wait_for_guest, NULL, NULL },
	{ "await the placeholder", operation_await_placeholder, NULL, NULL },
	{ 0 },
};
/* clang-format on */

static void start_succeed(struct operation *operation)
{
	Google__Protobuf__Timestamp created_at = timestamp_of(&operation->pod->created_at);
	T(StartSandboxResponse)
	response = CONTAINERD__RUNTIME__SANDBOX__V1__START_SANDBOX_RESPONSE__INIT;
	struct process *init = operation->process;

	container_write_pid_file(init->container);
	response.pid = init->pid;
	response.created_at = &created_at;
	ttrpc_call_reply(operation->call, &response.base);
	process_started(init);
}

static void start_fail(struct operation *operation, const struct error *err)
{
	process_start_failed(operation->process);
}

static const struct operation_kind start_kind = {
	.name = "start of the sandbox",
	.steps = start_steps,
	.succeed = start_succeed,
	.fail = start_fail,
};

static void refuse_start(const struct sandbox_call *sandbox)
{
	const struct error *cause = sandbox_cause(sandbox->pod->sandbox);
	const char *id = sandbox->pod->id;
	struct error err;

	if (sandbox->pause->init->state == PROCESS_RUNNING)
		error_set(&err, ERROR_FAILED_PRECONDITION, "sandbox \"%s\" runs already", id);
	else
		error_set(&err, ERROR_FAILED_PRECONDITION, "sandbox \"%s\" has ended%s%s", id,
		          cause ? ": " : "", cause ? cause->text : "");
	ttrpc_call_fail(sandbox->call, &err);
}

static void sandbox_start_up(const struct sandbox_call *sandbox)
{
	struct process *init = sandbox->pause->init;

	if (init->state != PROCESS_CREATED) {
		refuse_start(sandbox);
		return;
	}
	process_starting(init);
	operation_run(mem_new(struct operation), &start_kind, sandbox->pod, init, sandbox->call);
}

/* StopSandbox */

static void await_end(struct seq *seq, void *ctx)
{
	struct operation *operation = ctx;

	if (operation->process->state == PROCESS_STOPPED)
		seq_next(seq);
	else
		operation_wait_for_exit(operation);
}

/* The client removes it next. */
static void leave_netns(struct seq *seq, void *ctx)
{
	const struct operation *operation = ctx;

	netns_destroy(take_ptr(&operation->pod->netns));
	seq_next(seq);
}

/* clang-format off */
static const struct seq_step stop_steps[] = {
	{ "wait for the machine's end", await_end, NULL, NULL },
	{ "end the placeholder", operation_end_placeholders, NULL, NULL },
	{ "leave the network namespace", leave_netns, NULL, NULL },
	{ 0 },
};
/* clang-format on */

static const struct operation_kind stop_kind = {
	.name = "stop of the sandbox",
	.steps = stop_steps,
	.succeed = operation_finish,
};

static void on_call(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx);

/* A start that is under way fails by the machine's end, and is waited for. There is nothing to wait
 * the request's timeout for: a machine ends at once. */
static void sandbox_stop_all(const struct sandbox_call *sandbox)
{
	struct process *init = sandbox->pause->init;
	struct pod *pod = sandbox->pod;

	if (!init->exited)
		sandbox->pause->end_status = STATUS_ASKED;
	sandbox_stop(pod->sandbox);
	if (turn_taken(&init->turn))
		turn_wait(&init->turn, on_call, sandbox->call, sandbox->request, pod);
	else
		operation_run(mem_new(struct operation), &stop_kind, pod, init, sandbox->call);
}

/* WaitSandbox */

static void reply_exit(struct ttrpc_call *call, const struct process *process)
{
	T(WaitSandboxResponse)
	response = CONTAINERD__RUNTIME__SANDBOX__V1__WAIT_SANDBOX_RESPONSE__INIT;
	Google__Protobuf__Timestamp exited_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	response.exit_status = (uint32_t)process->exit_status;
	response.exited_at = process_exit_time(process, &exited_at);
	ttrpc_call_reply(call, &response.base);
}

static void sandbox_wait(const struct sandbox_call *sandbox)
{
	wait_run(sandbox->pause->init, sandbox->call, reply_exit);
}

/* The others */

static void sandbox_platform(const struct sandbox_call *sandbox)
{
	T(PlatformResponse) response = CONTAINERD__RUNTIME__SANDBOX__V1__PLATFORM_RESPONSE__INIT;
	T(Platform) platform = CONTAINERD__RUNTIME__SANDBOX__V1__PLATFORM__INIT;

	platform.os = "linux";
	platform.architecture = "amd64";
	response.platform = &platform;
	ttrpc_call_reply(sandbox->call, &response.base);
}

/* Why it ended by itself is what nobody else tells a user. */
static void sandbox_status(const struct sandbox_call *sandbox)
{
	const T(SandboxStatusRequest) *request = (const void *)sandbox->request;
	T(SandboxStatusResponse)
	response = CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_STATUS_RESPONSE__INIT;
	T(SandboxStatusResponse__InfoEntry)
	info = CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_STATUS_RESPONSE__INFO_ENTRY__INIT;
	T(SandboxStatusResponse__InfoEntry) * infos[] = { &info };
	Google__Protobuf__Timestamp created_at = timestamp_of(&sandbox->pod->created_at);
	Google__Protobuf__Timestamp exited_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	const struct process *init = sandbox->pause->init;
	const struct error *cause = sandbox_cause(sandbox->pod->sandbox);

	response.sandbox_id = sandbox->pod->id;
	response.pid = init->state == PROCESS_RUNNING ? init->pid : 0;
	response.state = init->state == PROCESS_RUNNING ? "SANDBOX_READY" : "SANDBOX_NOTREADY";
	response.created_at = &created_at;
	response.exited_at = process_exit_time(init, &exited_at);
	if (request->verbose && cause) {
		info.key = "cause";
		info.value = (char *)cause->text;
		response.info = infos;
		response.n_info = 1;
	}
	ttrpc_call_reply(sandbox->call, &response.base);
}

static void sandbox_ping(const struct sandbox_call *sandbox)
{
	struct error err;

	if (sandbox->pause->init->state != PROCESS_STOPPED) {
		ttrpc_call_finish(sandbox->call, NULL);
		return;
	}
	error_set(&err, ERROR_FAILED_PRECONDITION, "sandbox \"%s\" has ended", sandbox->pod->id);
	ttrpc_call_fail(sandbox->call, &err);
}

static void sandbox_shutdown(const struct sandbox_call *sandbox)
{
	sandbox->pod->on_end(sandbox->pod->ctx, sandbox->call);
}

/* As of a pause container, which uses nothing but the network. */
static void sandbox_metrics(const struct sandbox_call *sandbox)
{
	T(SandboxMetricsResponse)
	response = CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_METRICS_RESPONSE__INIT;
	T(Metric) metric = CONTAINERD__RUNTIME__SANDBOX__V1__METRIC__INIT;
	Google__Protobuf__Any data = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Protobuf__Timestamp at;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	at = timestamp_of(&now);
	stats_encode_pause(sandbox->pod, &data);
	metric.timestamp = &at;
	metric.id = sandbox->pod->id;
	metric.data = &data;
	response.metrics = &metric;
	ttrpc_call_reply(sandbox->call, &response.base);
	free(data.value.data);
}

/* What is legal for a call, and who answers it. */
struct sandbox_row {
	const char *name;
	bool made; /* CreateSandbox has been answered */
	bool turn; /* waits for its turn */
	size_t id; /* the offset of the request's id */
	void (*run)(const struct sandbox_call *sandbox);
};

#define OF(type) offsetof(T(type), sandbox_id)

/* clang-format off */
static const struct sandbox_row rows[] = {
	{ "CreateSandbox", false, false, OF(CreateSandboxRequest), sandbox_create },
	{ "StartSandbox", true, true, OF(StartSandboxRequest), sandbox_start_up },
	{ "Platform", false, false, OF(PlatformRequest), sandbox_platform },
	{ "StopSandbox", true, false, OF(StopSandboxRequest), sandbox_stop_all },
	{ "WaitSandbox", true, false, OF(WaitSandboxRequest), sandbox_wait },
	{ "SandboxStatus", true, false, OF(SandboxStatusRequest), sandbox_status },
	{ "PingSandbox", true, false, OF(PingRequest), sandbox_ping },
	{ "ShutdownSandbox", false, false, OF(ShutdownSandboxRequest), sandbox_shutdown },
	{ "SandboxMetrics", true, false, OF(SandboxMetricsRequest), sandbox_metrics },
	{ 0 },
};
/* clang-format on */

static int check(const struct sandbox_call *sandbox, const struct sandbox_row *row,
                 struct error *err)
{
	const char *id = *(char *const *)((const char *)sandbox->request + row->id);
	const struct pod *pod = sandbox->pod;

	if (!pod->is_sandbox)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "invalid sandbox \"%s\": the shim serves container \"%s\" and no "
		                 "sandbox",
		                 id, pod->id);
	if (strcmp(id, pod->id) != 0)
		return error_set(err, ERROR_NOT_FOUND,
		                 "cannot find sandbox \"%s\": the shim serves \"%s\"", id, pod->id);
	if (row->made && !sandbox->pause)
		return error_set(err, ERROR_NOT_FOUND, "sandbox \"%s\" is not created", id);
	return 0;
}

static void on_call(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	const struct sandbox_row *row = rows;
	const struct sandbox_call sandbox = {
		.pod = ctx,
		.pause = container_pause(ctx),
		.call = call,
		.request = request,
	};
	struct error err;

	while (strcmp(row->name, ttrpc_call_method(call)) != 0)
		row++;
	if (check(&sandbox, row, &err) < 0)
		ttrpc_call_fail(call, &err);
	else if (row->turn && turn_taken(&sandbox.pause->init->turn))
		turn_wait(&sandbox.pause->init->turn, on_call, call, request, ctx);
	else
		row->run(&sandbox);
}

#define TYPE(name) &containerd__runtime__sandbox__v1__##name##__descriptor

/* clang-format off */
const struct ttrpc_method sandbox_methods[] = {
	{ "CreateSandbox", TYPE(create_sandbox_request), TYPE(create_sandbox_response), on_call },
	{ "StartSandbox", TYPE(start_sandbox_request), TYPE(start_sandbox_response), on_call },
	{ "Platform", TYPE(platform_request), TYPE(platform_response), on_call },
	{ "StopSandbox", TYPE(stop_sandbox_request), TYPE(stop_sandbox_response), on_call },
	{ "WaitSandbox", TYPE(wait_sandbox_request), TYPE(wait_sandbox_response), on_call },
	{ "SandboxStatus", TYPE(sandbox_status_request), TYPE(sandbox_status_response), on_call },
	{ "PingSandbox", TYPE(ping_request), TYPE(ping_response), on_call },
	{ "ShutdownSandbox", TYPE(shutdown_sandbox_request), TYPE(shutdown_sandbox_response), on_call },
	{ "SandboxMetrics", TYPE(sandbox_metrics_request), TYPE(sandbox_metrics_response), on_call },
	{ 0 },
};
/* clang-format on */
