#include "fake_stdio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "fake_parts.h"
#include "proto/agent.pb-c.h"

#define PROCESSES_MAX 4

static struct fake_process processes[PROCESSES_MAX];
static size_t n_processes;

struct fake_process *fake_process(const char *exec_id)
{
	struct fake_process *process;

	for (size_t i = 0; i < n_processes; i++)
		if (strcmp(processes[i].exec_id, exec_id) == 0)
			return &processes[i];
	must(n_processes < PROCESSES_MAX);
	process = &processes[n_processes++];
	snprintf(process->exec_id, sizeof(process->exec_id), "%s", exec_id);
	for (int i = 0; i < 2; i++)
		process->outputs[i].bytes = mem_alloc(FAKE_OUTPUT_MAX);
	process->input = mem_alloc(FAKE_INPUT_MAX);
	return process;
}

static void answer_read(struct fake_output *output, struct ttrpc_call *call, size_t max)
{
	Grpc__ReadStreamResponse response = GRPC__READ_STREAM_RESPONSE__INIT;
	size_t len = output->len - output->taken;

	response.data.len = len < max ? len : max;
	response.data.data = (uint8_t *)output->bytes + output->taken;
	output->taken += response.data.len;
	ttrpc_call_reply(call, &response.base);
}

static void wake_reader(struct fake_process *process, bool is_err)
{
	struct fake_output *output = &process->outputs[is_err];

	if (output->reader)
		answer_read(output, take_ptr(&output->reader),
		            process->greedy ? FAKE_OUTPUT_MAX : output->max);
}

void fake_process_write(struct fake_process *process, bool is_err, const void *bytes, size_t len)
{
	struct fake_output *output = &process->outputs[is_err];

	must(output->len + len <= FAKE_OUTPUT_MAX);
	memcpy(output->bytes + output->len, bytes, len);
	output->len += len;
	wake_reader(process, is_err);
}

void fake_process_end(struct fake_process *process, int status)
{
	process->ended = true;
	process->status = status;
	for (int i = 0; i < 2; i++)
		wake_reader(process, i);
}

void fake_stdio_fini(void)
{
	for (size_t i = 0; i < n_processes; i++) {
		for (int k = 0; k < 2; k++) {
			if (processes[i].outputs[k].reader)
				ttrpc_call_finish(processes[i].outputs[k].reader, NULL);
			free(processes[i].outputs[k].bytes);
		}
		free(processes[i].input);
		processes[i] = (struct fake_process){ 0 };
	}
	n_processes = 0;
}

static void on_read(struct ttrpc_call *call, const ProtobufCMessage *message, bool is_err)
{
	const Grpc__ReadStreamRequest *request = (const void *)message;
	struct fake_process *process = fake_process(request->exec_id);
	struct fake_output *output = &process->outputs[is_err];

	must(!output->reader);
	if (output->taken < output->len || process->ended) {
		answer_read(output, call, request->len);
	} else {
		must(ttrpc_call_park(call, NULL, NULL, NULL) == 0);
		output->reader = call;
		output->max = request->len;
	}
}

void fake_on_read_stdout(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	on_read(call, message, false);
}

void fake_on_read_stderr(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	on_read(call, message, true);
}

void fake_on_write_stdin(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__WriteStreamRequest *request = (const void *)message;
	struct fake_process *process = fake_process(request->exec_id);
	Grpc__WriteStreamResponse response = GRPC__WRITE_STREAM_RESPONSE__INIT;
	size_t len = request->data.len;

	if (process->takes && process->takes < len)
		len = process->takes;
	must(len && process->input_len + len <= FAKE_INPUT_MAX);
	memcpy(process->input + process->input_len, request->data.data, len);
	process->input_len += len;
	response.len = (uint32_t)len;
	ttrpc_call_reply(call, &response.base);
}

void fake_on_close_stdin(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__CloseStdinRequest *request = (const void *)message;

	fake_process(request->exec_id)->input_closed = true;
	ttrpc_call_finish(call, NULL);
}
