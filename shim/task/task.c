#include "shim/task/task.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "proto/google.pb-c.h"
#include "proto/message.h"
#include "proto/runc.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "shim/pod/container.h"
#include "shim/pod/events.h"
#include "shim/pod/pod.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/spec.h"
#include "shim/stdio/stdio.h"
#include "shim/task/create.h"
#include "shim/task/delete.h"
#include "shim/task/freeze.h"
#include "shim/task/kill.h"
#include "shim/task/start.h"
#include "shim/task/stats.h"
#include "shim/task/update.h"
#include "shim/task/wait.h"

#define SIGNAL_MAX 64 /* SIGRTMAX of the kernel */

typedef Containerd__Task__V2__CloseIORequest CloseIORequest;
typedef Containerd__Task__V2__ExecProcessRequest ExecProcessRequest;
typedef Containerd__Task__V2__KillRequest KillRequest;
typedef Containerd__Task__V2__ResizePtyRequest ResizePtyRequest;
typedef Containerd__Task__V2__UpdateTaskRequest UpdateTaskRequest;

/* A call about a process that is there and in a state that allows it: to be answered. */
struct task {
	struct pod *pod;
	struct process *process;
	struct ttrpc_call *call;
	const ProtobufCMessage *request;
};

static int guest_is_ready(const struct task *task, struct error *err)
{
	if (sandbox_state(task->pod->sandbox) == SANDBOX_READY)
		return 0;
	return sandbox_refuse(task->pod->sandbox, err);
}

/* All of its processes end with it, and their exits are reported: none is left to be killed. */
static bool machine_is_stopping(const struct task *task)
{
	return sandbox_state(task->pod->sandbox) == SANDBOX_STOPPING;
}

static void task_start(const struct task *task)
{
	start_run(task->pod, task->process, task->call);
}

static void task_delete(const struct task *task)
{
	delete_run(task->pod, task->process, task->call);
}

static void freeze(const struct task *task, bool frozen)
{
	struct error err;

	if (guest_is_ready(task, &err) < 0)
		ttrpc_call_fail(task->call, &err);
	else
		freeze_run(task->pod, task->process, frozen, task->call);
}

static void task_pause(const struct task *task)
{
	freeze(task, true);
}

static void task_resume(const struct task *task)
{
	freeze(task, false);
}

static Containerd__V1__Types__Status status_of(const struct process *process)
{
	static const Containerd__V1__Types__Status statuses[PROCESS_STATES] = {
		[PROCESS_CREATED] = CONTAINERD__V1__TYPES__STATUS__CREATED,
		[PROCESS_STARTING] = CONTAINERD__V1__TYPES__STATUS__CREATED,
		[PROCESS_RUNNING] = CONTAINERD__V1__TYPES__STATUS__RUNNING,
		[PROCESS_PAUSED] = CONTAINERD__V1__TYPES__STATUS__PAUSED,
		[PROCESS_STOPPED] = CONTAINERD__V1__TYPES__STATUS__STOPPED,
	};

	return statuses[process->state];
}

static void task_state(const struct task *task)
{
	Containerd__Task__V2__StateResponse response = CONTAINERD__TASK__V2__STATE_RESPONSE__INIT;
	Google__Protobuf__Timestamp exited_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct process *process = task->process;

	response.id = process_is_init(process) ? process->container_id : process->id;
	response.bundle = process->container->bundle_dir;
	response.pid = process->pid;
	response.status = status_of(process);
	response.stdin = process->paths.in;
	response.stdout = process->paths.out;
	response.stderr = process->paths.err;
	response.terminal = process->paths.terminal;
	response.exit_status = (uint32_t)process->exit_status;
	response.exited_at = process_exit_time(process, &exited_at);
	ttrpc_call_reply(task->call, &response.base);
}

static void reply_exit(struct ttrpc_call *call, const struct process *process)
{
	Containerd__Task__V2__WaitResponse response = CONTAINERD__TASK__V2__WAIT_RESPONSE__INIT;
	Google__Protobuf__Timestamp exited_at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	response.exit_status = (uint32_t)process->exit_status;
	response.exited_at = process_exit_time(process, &exited_at);
	ttrpc_call_reply(call, &response.base);
}

static void task_wait(const struct task *task)
{
	wait_run(task->process, task->call, reply_exit);
}

static int check_kill(const struct task *task, const KillRequest *request, struct error *err)
{
	const struct process *process = task->process;

	if (request->signal > SIGNAL_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid signal \"%u\": greater than %d", request->signal,
		                 SIGNAL_MAX);
	if (!process_is_init(process) && process->state == PROCESS_CREATED)
		return error_set(err, ERROR_FAILED_PRECONDITION, "process not created");
	return machine_is_stopping(task) ? 0 : guest_is_ready(task, err);
}

static void task_kill(const struct task *task)
{
	const KillRequest *request = (const void *)task->request;
	struct error err;

	if (check_kill(task, request, &err) < 0)
		ttrpc_call_fail(task->call, &err);
	else if (machine_is_stopping(task))
		ttrpc_call_finish(task->call, NULL);
	else
		kill_run(task->pod, task->process, request->signal,
		         request->all && process_is_init(task->process), task->call);
}

static void publish_exec_added(const struct task *task, const ExecProcessRequest *request)
{
	Containerd__Events__TaskExecAdded event = CONTAINERD__EVENTS__TASK_EXEC_ADDED__INIT;

	event.container_id = request->id;
	event.exec_id = request->exec_id;
	events_publish(task->pod->events, "/tasks/exec-added", &event.base);
}

static int parse_exec(const ExecProcessRequest *request, Grpc__Process **out, struct error *err)
{
	int r;

	if (!request->spec)
		return error_set(err, ERROR_INVALID_ARGUMENT, "an exec needs a process to run");
	r = spec_parse_process((const char *)request->spec->value.data, request->spec->value.len,
	                       out, err);
	if (r == 0)
		(*out)->terminal = request->terminal;
	return r;
}

static void task_exec(const struct task *task)
{
	const ExecProcessRequest *request = (const void *)task->request;
	const struct process_stdio paths = {
		.in = request->stdin,
		.out = request->stdout,
		.err = request->stderr,
		.terminal = request->terminal,
	};
	struct container *container = task->process->container;
	Grpc__Process *spec = NULL;
	struct error err;

	if (container_check_exec(container, request->exec_id, &err) < 0 ||
	    parse_exec(request, &spec, &err) < 0) {
		ttrpc_call_fail(task->call, &err);
		return;
	}
	container_add_exec(container, request->exec_id, spec, &paths);
	publish_exec_added(task, request);
	ttrpc_call_finish(task->call, NULL);
}

static void task_resize(const struct task *task)
{
	const ResizePtyRequest *request = (const void *)task->request;
	const struct agent_process target = process_in_guest(task->process);
	struct process *process = task->process;
	struct error err;

	if (!process->paths.terminal) {
		ttrpc_call_finish(task->call, NULL); /* as runc's shim */
	} else if (!process_is_init(process) && process->state == PROCESS_CREATED) {
		process_set_console_size(process, request->height, request->width);
		ttrpc_call_finish(task->call, NULL);
	} else if (guest_is_ready(task, &err) < 0 ||
	           agent_resize(sandbox_agent(task->pod->sandbox), &target, request->height,
	                        request->width, ttrpc_call_finish, task->call, &err) < 0) {
		ttrpc_call_fail(task->call, &err);
	}
}

static void task_close_io(const struct task *task)
{
	const CloseIORequest *request = (const void *)task->request;

	if (request->stdin)
		process_close_stdin(task->process);
	ttrpc_call_finish(task->call, NULL);
}

/* The init's is there until its Delete: a containerd that restarts takes a shim without a pid for
 * one whose task was never made. */
static void task_pids(const struct task *task)
{
	Containerd__Task__V2__PidsResponse response = CONTAINERD__TASK__V2__PIDS_RESPONSE__INIT;
	struct container *container = task->process->container;
	size_t max = container->n_execs + 1;
	autofree Containerd__V1__Types__ProcessInfo *infos = mem_alloc(max * sizeof(*infos));
	autofree Containerd__V1__Types__ProcessInfo **list = mem_alloc(max * sizeof(void *));
	autofree Google__Protobuf__Any *details = mem_alloc(max * sizeof(*details));
	struct process *exec;
	size_t n = 0;

	containerd__v1__types__process_info__init(&infos[n]);
	infos[n++].pid = container->init->pid;
	LIST_FOREACH (exec, &container->execs, link) {
		Containerd__Runc__V1__ProcessDetails exec_id =
			CONTAINERD__RUNC__V1__PROCESS_DETAILS__INIT;

		if (exec->state != PROCESS_RUNNING && exec->state != PROCESS_PAUSED)
			continue;
		exec_id.exec_id = exec->id;
		google__protobuf__any__init(&details[n]);
		details[n].type_url = "containerd.runc.v1.ProcessDetails";
		details[n].value = message_encode(&exec_id.base);
		containerd__v1__types__process_info__init(&infos[n]);
		infos[n].pid = exec->pid;
		infos[n].info = &details[n];
		n++;
	}
	for (size_t i = 0; i < n; i++)
		list[i] = &infos[i];
	response.processes = list;
	response.n_processes = n;
	ttrpc_call_reply(task->call, &response.base);
	for (size_t i = 0; i < n; i++)
		free(details[i].value.data);
}

static int parse_update(const UpdateTaskRequest *request, Grpc__LinuxResources **out,
                        struct error *err)
{
	const Google__Protobuf__Any *json = request->resources;

	if (!json)
		return error_set(err, ERROR_INVALID_ARGUMENT, "an update needs resources");
	return spec_parse_resources((const char *)json->value.data, json->value.len, out, err);
}

static void task_update(const struct task *task)
{
	autodestroy(spec_resources) Grpc__LinuxResources *resources = NULL;
	struct error err;

	if (parse_update((const void *)task->request, &resources, &err) < 0 ||
	    guest_is_ready(task, &err) < 0)
		ttrpc_call_fail(task->call, &err);
	else
		update_run(task->pod, task->process, take_ptr(&resources), task->call);
}

static void task_stats(const struct task *task)
{
	struct error err;

	if (guest_is_ready(task, &err) < 0)
		ttrpc_call_fail(task->call, &err);
	else
		stats_run(task->pod, task->process->container, task->call);
}

static void task_checkpoint(const struct task *task)
{
	struct error err;

	error_set(&err, ERROR_UNIMPLEMENTED,
	          "checkpoints: not supported; the processes are in a virtual machine");
	ttrpc_call_fail(task->call, &err);
}

/* The calls about a process: which one, what has to be legal for it, and who answers. */
struct process_call {
	const char *name;
	enum process_verb verb;
	bool at_once; /* does not wait for its turn */
	bool pause;   /* a pause container can be asked, which has no process in the guest */
	size_t id;    /* the offsets of the request's ids; exec_id 0: the init is meant */
	size_t exec_id;
	void (*run)(const struct task *task);
};

#define OFFSET(type, member) offsetof(Containerd__Task__V2__##type, member)
#define OF_PROCESS(type)     OFFSET(type, id), OFFSET(type, exec_id)
#define OF_INIT(type)        OFFSET(type, id), 0

/* clang-format off */
static const struct process_call process_calls[] = {
	{ "State", PROCESS_ANY, true, true, OF_PROCESS(StateRequest), task_state },
	{ "Start", PROCESS_START, false, true, OF_PROCESS(StartRequest), task_start },
	{ "Delete", PROCESS_DELETE, false, true, OF_PROCESS(DeleteRequest), task_delete },
	{ "Pids", PROCESS_ANY, true, true, OF_INIT(PidsRequest), task_pids },
	{ "Pause", PROCESS_PAUSE, false, false, OF_INIT(PauseRequest), task_pause },
	{ "Resume", PROCESS_RESUME, false, false, OF_INIT(ResumeRequest), task_resume },
	{ "Checkpoint", PROCESS_CHECKPOINT, false, false, OF_INIT(CheckpointTaskRequest), task_checkpoint },
	{ "Kill", PROCESS_KILL, false, true, OF_PROCESS(KillRequest), task_kill },
	{ "Exec", PROCESS_EXEC, false, false, OF_INIT(ExecProcessRequest), task_exec },
	{ "ResizePty", PROCESS_RESIZE, false, false, OF_PROCESS(ResizePtyRequest), task_resize },
	{ "CloseIO", PROCESS_ANY, false, true, OF_PROCESS(CloseIORequest), task_close_io },
	{ "Update", PROCESS_UPDATE, false, false, OF_INIT(UpdateTaskRequest), task_update },
	{ "Wait", PROCESS_ANY, true, true, OF_PROCESS(WaitRequest), task_wait },
	{ "Stats", PROCESS_ANY, false, true, OF_INIT(StatsRequest), task_stats },
	{ 0 },
};
/* clang-format on */

/* NULL and an error when there is none. */
static struct process *find_process(const struct pod *pod, const char *id, const char *exec_id,
                                    struct error *err)
{
	const struct container *container = container_lookup(pod, id);
	struct process *process;

	if (!container || !container->created || (pod->is_sandbox && container->is_pause)) {
		error_set(err, ERROR_NOT_FOUND, "container not created");
		return NULL;
	}
	process = container_process(container, exec_id);
	if (!process)
		error_set(err, ERROR_NOT_FOUND, "process does not exist %s", exec_id);
	return process;
}

/* What the machine's end has put into this state says why it ended. */
static void refuse(const struct task *task, struct error *err)
{
	const struct error *cause = sandbox_cause(task->pod->sandbox);
	struct error both;

	if (cause && err->code == ERROR_FAILED_PRECONDITION) {
		error_set(&both, err->code, "%s: the virtual machine has ended: %s", err->text,
		          cause->text);
		err = &both;
	}
	ttrpc_call_fail(task->call, err);
}

static void refuse_pause_container(const struct task *task, const struct process_call *row,
                                   struct error *err)
{
	error_set(err, ERROR_UNIMPLEMENTED,
	          "%s of pause container \"%s\": not supported; it has no process in the virtual "
	          "machine",
	          row->name, task->process->container_id);
	ttrpc_call_fail(task->call, err);
}

static const char *string_at(const ProtobufCMessage *request, size_t offset)
{
	return offset ? *(char *const *)((const char *)request + offset) : "";
}

/* Nothing is left of an init that has ended that this could be done to: runc's shim says it is
 * done. */
static bool is_done_already(const struct process_call *row, const struct task *task)
{
	if (!process_is_init(task->process) || task->process->state != PROCESS_STOPPED)
		return false;
	return row->verb == PROCESS_RESIZE ||
	       (row->verb == PROCESS_KILL && ((const KillRequest *)task->request)->all);
}

static void on_process_call(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	const struct process_call *row = process_calls;
	struct task task = { .pod = ctx, .call = call, .request = request };
	struct error err;

	while (strcmp(row->name, ttrpc_call_method(call)) != 0)
		row++;
	task.process = find_process(ctx, string_at(request, row->id),
	                            string_at(request, row->exec_id), &err);
	if (!task.process) {
		ttrpc_call_fail(call, &err);
		return;
	}
	if (task.process->container->is_pause && !row->pause)
		refuse_pause_container(&task, row, &err);
	else if (!row->at_once && turn_taken(&task.process->turn))
		turn_wait(&task.process->turn, on_process_call, call, request, ctx);
	else if (is_done_already(row, &task))
		ttrpc_call_finish(call, NULL);
	else if (process_allows(task.process, row->verb, &err) < 0)
		refuse(&task, &err);
	else
		row->run(&task);
}

static void on_create(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	create_run(ctx, call, (const void *)request);
}

static void on_connect(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Containerd__Task__V2__ConnectRequest *request = (const void *)message;
	Containerd__Task__V2__ConnectResponse response =
		CONTAINERD__TASK__V2__CONNECT_RESPONSE__INIT;
	const struct container *container = container_lookup(ctx, request->id);

	response.shim_pid = (uint32_t)getpid();
	response.task_pid = container ? container->init->pid : 0;
	response.version = KATA_VERSION;
	ttrpc_call_reply(call, &response.base);
}

/* Of a sandbox only a containerd asks it that does not know the sandbox. */
static void on_shutdown(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Containerd__Task__V2__ShutdownRequest *request = (const void *)message;
	struct pod *pod = ctx;

	if (pod->is_sandbox && strcmp(request->id, pod->id) == 0)
		pod->on_end(pod->ctx, call);
	else
		pod->on_shutdown(pod->ctx, call);
}

#define TYPE(name) &containerd__task__v2__##name##__descriptor
#define EMPTY      &google__protobuf__empty__descriptor

/* clang-format off */
const struct ttrpc_method task_methods[] = {
	{ "State", TYPE(state_request), TYPE(state_response), on_process_call },
	{ "Create", TYPE(create_task_request), TYPE(create_task_response), on_create },
	{ "Start", TYPE(start_request), TYPE(start_response), on_process_call },
	{ "Delete", TYPE(delete_request), TYPE(delete_response), on_process_call },
	{ "Pids", TYPE(pids_request), TYPE(pids_response), on_process_call },
	{ "Pause", TYPE(pause_request), EMPTY, on_process_call },
	{ "Resume", TYPE(resume_request), EMPTY, on_process_call },
	{ "Checkpoint", TYPE(checkpoint_task_request), EMPTY, on_process_call },
	{ "Kill", TYPE(kill_request), EMPTY, on_process_call },
	{ "Exec", TYPE(exec_process_request), EMPTY, on_process_call },
	{ "ResizePty", TYPE(resize_pty_request), EMPTY, on_process_call },
	{ "CloseIO", TYPE(close_iorequest), EMPTY, on_process_call },
	{ "Update", TYPE(update_task_request), EMPTY, on_process_call },
	{ "Wait", TYPE(wait_request), TYPE(wait_response), on_process_call },
	{ "Stats", TYPE(stats_request), TYPE(stats_response), on_process_call },
	{ "Connect", TYPE(connect_request), TYPE(connect_response), on_connect },
	{ "Shutdown", TYPE(shutdown_request), EMPTY, on_shutdown },
	{ 0 },
};
/* clang-format on */
