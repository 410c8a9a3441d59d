#include <signal.h>

#include "agent/pod/calls.h"
#include "agent/pod/container.h"
#include "agent/pod/process.h"
#include "agent/pod/sandbox.h"
#include "proto/agent.pb-c.h"

static int find(const struct sandbox *sandbox, const char *container_id, const char *exec_id,
                struct process **out, struct error *err)
{
	struct container *container;
	int r;

	r = sandbox_find(sandbox, container_id, ERROR_INVALID_ARGUMENT, &container, err);
	if (r == 0)
		r = container_find(container, exec_id, out, err);
	return r;
}

static int check_exec(const Grpc__ExecProcessRequest *request, struct error *err)
{
	if (request->string_user)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "ExecProcess: string_user: not supported");
	if (!request->process)
		return error_set(err, ERROR_INVALID_ARGUMENT, "ExecProcess: no process");
	return container_check_id(request->exec_id, err);
}

void process_on_exec(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__ExecProcessRequest *request = (const Grpc__ExecProcessRequest *)message;
	uint32_t ports[3] = { request->stdin_port, request->stdout_port, request->stderr_port };
	struct container *container;
	struct error err;

	if (check_exec(request, &err) < 0 ||
	    sandbox_find(ctx, request->container_id, ERROR_NOT_FOUND, &container, &err) < 0 ||
	    container_exec(container, request->exec_id, request->process, ports, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

/* To all of the container: what says so, and SIGKILL to no process in particular. */
static int send_signal(const struct sandbox *sandbox, const Grpc__SignalProcessRequest *request,
                       struct ttrpc_call *call, struct error *err)
{
	struct container *container;
	struct process *process;
	int r;

	r = sandbox_find(sandbox, request->container_id, ERROR_INVALID_ARGUMENT, &container, err);
	if (r < 0)
		return r;
	if (request->all || (!*request->exec_id && request->signal == SIGKILL))
		return container_signal_all(container, (int)request->signal, call, err);
	r = container_find(container, request->exec_id, &process, err);
	if (r == 0)
		r = process_signal(process, (int)request->signal, err);
	if (r == 0)
		ttrpc_call_finish(call, NULL);
	return r;
}

void process_on_signal(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	struct error err;

	if (send_signal(ctx, (const Grpc__SignalProcessRequest *)message, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

void process_on_wait(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__WaitProcessRequest *request = (const Grpc__WaitProcessRequest *)message;
	struct container *container;
	struct error err;

	if (ttrpc_call_park(call, NULL, NULL, &err) < 0 ||
	    sandbox_find(ctx, request->container_id, ERROR_INVALID_ARGUMENT, &container, &err) <
	            0 ||
	    container_wait(container, request->exec_id, call, request->with_oom, &err) < 0)
		ttrpc_call_fail(call, &err);
}

void process_on_resize(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__TtyWinResizeRequest *request = (const Grpc__TtyWinResizeRequest *)message;
	struct process *process;
	struct error err;
	int r;

	r = find(ctx, request->container_id, request->exec_id, &process, &err);
	if (r == 0)
		r = process_resize(process, request->row, request->column, &err);
	ttrpc_call_finish(call, r < 0 ? &err : NULL);
}

void process_on_close_stdin(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__CloseStdinRequest *request = (const Grpc__CloseStdinRequest *)message;
	struct process *process;
	struct error err;
	int r;

	r = find(ctx, request->container_id, request->exec_id, &process, &err);
	if (r == 0)
		process_close_stdin(process);
	ttrpc_call_finish(call, r < 0 ? &err : NULL);
}

void process_on_write_stdin(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__WriteStreamRequest *request = (const Grpc__WriteStreamRequest *)message;
	struct process *process = NULL;
	struct error err;

	if (find(ctx, request->container_id, request->exec_id, &process, &err) < 0 ||
	    process_write(process, request->data.data, request->data.len, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

static void read_output(struct ttrpc_call *call, const Grpc__ReadStreamRequest *request, int which)
{
	struct container *container;
	struct error err;

	if (sandbox_find(ttrpc_call_ctx(call), request->container_id, ERROR_INVALID_ARGUMENT,
	                 &container, &err) < 0 ||
	    container_read(container, request->exec_id, which, request->len, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

void process_on_read_stdout(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	read_output(call, (const Grpc__ReadStreamRequest *)message, 1);
}

void process_on_read_stderr(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	read_output(call, (const Grpc__ReadStreamRequest *)message, 2);
}
