/*
 * An agent that answers what it likes, when it likes, to the calls that a shim makes; what it says
 * of its containers goes on to containerd.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/ttrpc.pb-c.h"
#include "shim/config/config.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/agent_stdio.h"
#include "shim/pod/process.h"
#include "shim/task/metrics.h"
#include "test/fuzz/frames.h"
#include "test/fuzz/fuzz.h"

#define CALLS_MAX  16
#define STEPS      128
#define TIMEOUT_MS 60000

struct world {
	struct script script;
	struct agent *agent;
	struct process process;
	int peer;
	uint32_t answered; /* the stream of the newest answer */
	bool lost;
	struct asked {
		struct agent_call *call; /* may be forgotten as long as it is not NULL */
		bool done;
	} calls[CALLS_MAX];
	int n_calls;
};

static struct world world;

static void check_error(const struct error *err)
{
	assert(!err || (err->code != ERROR_NONE && strlen(err->text) < ERROR_TEXT_MAX));
}

static void call_over(void *ctx, const struct error *err)
{
	struct asked *asked = ctx;

	check_error(err);
	assert(!asked->done);
	asked->done = true;
	asked->call = NULL;
}

static void on_exit_status(void *ctx, const struct agent_exit *exit, const struct error *err)
{
	assert(!exit == !!err);
	call_over(ctx, err);
}

static void on_stats(void *ctx, const Grpc__StatsContainerResponse *stats, const struct error *err)
{
	static const enum metrics_version versions[] = { METRICS_V1, METRICS_V2 };

	assert(!stats == !!err);
	for (size_t i = 0; stats && i < sizeof(versions) / sizeof(versions[0]); i++) {
		Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

		metrics_encode(stats, versions[i], &any);
		free(any.value.data);
	}
	call_over(ctx, err);
}

static void on_oom(void *ctx, const char *id, const struct error *err)
{
	assert(!id == !!err);
	free(id ? strdup(id) : NULL);
	call_over(ctx, err);
}

static void on_read(void *ctx, const void *data, size_t len, const struct error *err)
{
	assert(!err || (!data && !len));
	free(len ? memcpy(malloc(len), data, len) : NULL);
	call_over(ctx, err);
}

static void on_written(void *ctx, size_t taken, const struct error *err)
{
	call_over(ctx, err);
}

static void on_features(void *ctx, unsigned int features, const struct error *err)
{
	assert(!err || !features);
	call_over(ctx, err);
}

static void on_lost(void *ctx, const struct error *err)
{
	check_error(err);
	world.lost = true;
}

static void call(void)
{
	static const struct agent_process process = { "container", "exec" };
	const struct guest_io io = agent_stdio_for(world.agent, &world.process);
	struct asked *asked = &world.calls[world.n_calls];
	struct guest_call **pending = (struct guest_call **)&asked->call;
	int r = 0;

	if (world.n_calls == CALLS_MAX)
		return;
	switch (script_byte(&world.script) % 10) {
	case 0:
		r = agent_wait(world.agent, &process, on_exit_status, asked, &asked->call, NULL);
		break;
	case 1:
		r = agent_stats(world.agent, "container", on_stats, asked, NULL);
		break;
	case 2:
		r = agent_next_oom(world.agent, on_oom, asked, NULL);
		break;
	case 3:
		r = agent_start_container(world.agent, "container", call_over, asked, &asked->call,
		                          NULL);
		break;
	case 4:
		r = agent_destroy_sandbox(world.agent, call_over, asked, NULL);
		break;
	case 5:
		r = agent_check(world.agent, call_over, asked, NULL);
		break;
	case 6:
		r = agent_ask_features(world.agent, on_features, asked, NULL);
		break;
	case 7:
		r = io.calls->read(io.process, false, GUEST_IO_MAX, on_read, asked, pending, NULL);
		break;
	case 8:
		r = io.calls->write(io.process, "input", 5, on_written, asked, pending, NULL);
		break;
	case 9:
		r = io.calls->close(io.process, call_over, asked, pending, NULL);
		break;
	}
	assert(r == 0 || world.lost);
	world.n_calls += r == 0;
}

/* In the form of an answer, to the next call or to any. */
static void answer(void)
{
	const uint8_t how = script_byte(&world.script);
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	autofree char *text = NULL;

	if (how & 1) {
		text = script_text(&world.script);
		status.code = script_byte(&world.script) - 1;
		status.message = text;
		response.status = &status;
	}
	response.payload.data = (uint8_t *)script_bytes(&world.script, &response.payload.len);
	world.answered = how & 2 ? script_byte(&world.script) : world.answered + 2;
	frames_send(world.peer, world.answered - 1, TTRPC_FRAME_RESPONSE, 0, &response.base);
}

static void send_any_frame(void)
{
	frames_send_any(world.peer, &world.script);
}

static void send_bytes(void)
{
	fuzz_send_bytes(world.peer, &world.script);
}

static void forget(void)
{
	int i = script_byte(&world.script) % CALLS_MAX;

	agent_forget(world.calls[i].call);
	world.calls[i].done = world.calls[i].done || world.calls[i].call;
	world.calls[i].call = NULL;
}

static void a_deadline_passes(void)
{
	fuzz_pass(TIMEOUT_MS + 1);
	fuzz_turn();
}

static void (*const steps[])(void) = {
	call, answer, fuzz_turn, send_any_frame, send_bytes, forget, a_deadline_passes,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct config config = {
		.agent_timeout_ms = TIMEOUT_MS,
		.agent_stop_timeout_ms = TIMEOUT_MS,
		.agent_connect_timeout_ms = TIMEOUT_MS,
	};
	int fd;

	world = (struct world){ .script = { data, size } };
	fd = fuzz_socket(&world.peer);
	world.process.container_id = "container";
	world.process.guest_id = "exec";
	world.agent = agent_create(fuzz_loop(), fd, ~(unsigned int)FEATURE_STREAMS, &config,
	                           on_lost, NULL);
	for (int i = 0; i < STEPS && world.script.left; i++)
		steps[script_byte(&world.script) % (sizeof(steps) / sizeof(steps[0]))]();
	fuzz_turn();
	close(world.peer);
	if (size % 2) /* the loss of the agent ends every call */
		fuzz_turn();
	for (int i = 0; i < world.n_calls; i++)
		assert(!world.lost || world.calls[i].done);
	agent_destroy(world.agent);
	fuzz_turn();
	return 0;
}
