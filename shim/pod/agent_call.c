#include "shim/pod/agent_call.h"

#include <assert.h>
#include <sys/queue.h>

#include "common/mem.h"
#include "proto/features.h"
#include "proto/google.pb-c.h"

struct agent_call {
	LIST_ENTRY(agent_call) link;
	struct agent *agent;
	uint32_t id;
	union agent_done done;
	void *ctx;
};

struct agent {
	const struct config *config;
	unsigned int features;
	struct ttrpc_client *client;
	LIST_HEAD(, agent_call) calls;
};

struct agent *agent_create(struct ev_loop *loop, int fd, unsigned int features,
                           const struct config *config, done_fn *on_lost, void *ctx)
{
	struct agent *agent = mem_new(struct agent);

	agent->config = config;
	agent->features = features;
	LIST_INIT(&agent->calls);
	agent->client = ttrpc_client_create(loop, fd, on_lost, ctx);
	return agent;
}

const struct config *agent_config(const struct agent *agent)
{
	return agent->config;
}

bool agent_has(const struct agent *agent, enum feature feature)
{
	return agent->features & feature;
}

unsigned int agent_features(const struct agent *agent)
{
	return agent->features;
}

static void call_free(struct agent_call *call)
{
	LIST_REMOVE(call, link);
	free(call);
}

void agent_destroy(struct agent *agent)
{
	struct agent_call *call, *next;

	if (!agent)
		return;
	ttrpc_client_destroy(agent->client);
	for (call = LIST_FIRST(&agent->calls); call; call = next) {
		next = LIST_NEXT(call, link);
		free(call);
	}
	free(agent);
}

bool agent_is_lost(const struct agent *agent)
{
	return ttrpc_client_is_lost(agent->client);
}

void agent_forget(struct agent_call *call)
{
	if (!call)
		return;
	ttrpc_client_forget(call->agent->client, call->id);
	call_free(call);
}

union agent_done agent_call_end(struct agent_call *call, void **ctx)
{
	union agent_done done = call->done;

	*ctx = call->ctx;
	call_free(call);
	return done;
}

int agent_call(struct agent *agent, const struct agent_method *method,
               const ProtobufCMessage *request, union agent_done done, void *ctx,
               struct agent_call **out, struct error *err)
{
	const ProtobufCMessageDescriptor *response = method->response;
	struct agent_call *pending;
	int r;

	r = features_check(agent->features, request, err);
	if (r < 0)
		return r;
	pending = mem_new(struct agent_call);
	if (!response)
		response = &google__protobuf__empty__descriptor;
	pending->agent = agent;
	pending->done = done;
	pending->ctx = ctx;
	LIST_INSERT_HEAD(&agent->calls, pending, link);
	r = ttrpc_client_call(agent->client, method->service ? method->service : AGENT_SERVICE,
	                      method->name, request, response, method->timeout_ms,
	                      method->on_answer, pending, &pending->id, err);
	if (r < 0)
		call_free(pending);
	else if (out)
		*out = pending;
	return r;
}

void agent_call_done(void *call, const ProtobufCMessage *response, const struct error *err)
{
	void *ctx;
	union agent_done done = agent_call_end(call, &ctx);

	done.plain(ctx, err);
}

int agent_call_plain(struct agent *agent, const char *name, int timeout_ms,
                     const ProtobufCMessage *request, done_fn *done, void *ctx,
                     struct agent_call **out, struct error *err)
{
	const struct agent_method method = {
		.name = name,
		.timeout_ms = timeout_ms,
		.on_answer = agent_call_done,
	};

	return agent_call(agent, &method, request, (union agent_done){ .plain = done }, ctx, out,
	                  err);
}
