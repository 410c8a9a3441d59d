#include "shim/pod/agent_stdio.h"

#include "proto/google.pb-c.h"
#include "shim/config/config.h"
#include "shim/pod/agent_call.h"
#include "shim/pod/process.h"

static void on_read(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__ReadStreamResponse *answer = (const void *)response;
	void *ctx;
	union agent_done done = agent_call_end(call, &ctx);

	done.read(ctx, answer ? answer->data.data : NULL, answer ? answer->data.len : 0, err);
}

static int read_output(void *ctx, bool is_err, size_t max, guest_read_fn *done, void *done_ctx,
                       struct guest_call **out, struct error *err)
{
	const struct process *process = ctx;
	const struct agent_method method = {
		.name = is_err ? "ReadStderr" : "ReadStdout",
		.timeout_ms = AGENT_FOREVER, /* until the process writes or ends */
		.on_answer = on_read,
		.response = &grpc__read_stream_response__descriptor,
	};
	Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;

	request.container_id = process->container_id;
	request.exec_id = process->guest_id;
	request.len = (uint32_t)max;
	return agent_call(process->agent, &method, &request.base,
	                  (union agent_done){ .read = done }, done_ctx, (struct agent_call **)out,
	                  err);
}

static void on_written(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__WriteStreamResponse *answer = (const void *)response;
	void *ctx;
	union agent_done done = agent_call_end(call, &ctx);

	done.written(ctx, answer ? answer->len : 0, err);
}

static int write_input(void *ctx, const void *data, size_t len, guest_written_fn *done,
                       void *done_ctx, struct guest_call **out, struct error *err)
{
	static const struct agent_method method = {
		.name = "WriteStdin",
		.timeout_ms = AGENT_FOREVER, /* until the process reads or ends */
		.on_answer = on_written,
		.response = &grpc__write_stream_response__descriptor,
	};
	const struct process *process = ctx;
	Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;

	request.container_id = process->container_id;
	request.exec_id = process->guest_id;
	request.data = (ProtobufCBinaryData){ len, (uint8_t *)data };
	return agent_call(process->agent, &method, &request.base,
	                  (union agent_done){ .written = done }, done_ctx,
	                  (struct agent_call **)out, err);
}

static int close_input(void *ctx, done_fn *done, void *done_ctx, struct guest_call **out,
                       struct error *err)
{
	const struct process *process = ctx;
	Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;

	request.container_id = process->container_id;
	request.exec_id = process->guest_id;
	return agent_call_plain(process->agent, "CloseStdin",
	                        agent_config(process->agent)->agent_timeout_ms, &request.base, done,
	                        done_ctx, (struct agent_call **)out, err);
}

static void forget(struct guest_call *call)
{
	agent_forget((struct agent_call *)call);
}

struct guest_io agent_stdio_for(struct agent *agent, struct process *process)
{
	static const struct guest_io_calls calls = { read_output, write_input, close_input,
		                                     forget };

	process->agent = agent;
	return (struct guest_io){ agent_has(agent, FEATURE_STREAMS) ? NULL : &calls, process };
}
