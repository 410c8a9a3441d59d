/*
 * The connection to the guest's agent, and a call over it that is under way: what the modules share
 * that know the agent's methods (agent_client.h, agent_stdio.h).
 */
#ifndef SHIM_AGENT_CALL_H
#define SHIM_AGENT_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "proto/agent.pb-c.h"
#include "proto/features.h"
#include "proto/ttrpc/ttrpc_client.h"
#include "shim/stdio/guest_io.h"

struct agent;
struct agent_call;
struct config;
struct ev_loop;

#define AGENT_SERVICE "grpc.AgentService"
#define AGENT_FOREVER 0

/*
 * Takes over @fd, a connection to the agent; @config outlives it. @features: a set of enum feature
 * (proto/features.h); a call that needs another is refused (ERROR_UNIMPLEMENTED). @on_lost: it has
 * gone, after all pending calls were told; it may destroy the agent.
 */
struct agent *agent_create(struct ev_loop *loop, int fd, unsigned int features,
                           const struct config *config, done_fn *on_lost, void *ctx);
/* Whether the guest's agent has this feature. */
bool agent_has(const struct agent *agent, enum feature feature);
unsigned int agent_features(const struct agent *agent); /* a set of enum feature */
void agent_destroy(struct agent *agent); /* NULL is fine; pending calls are dropped */
/* True already while the pending calls are told so, before on_lost. */
bool agent_is_lost(const struct agent *agent);

void agent_forget(struct agent_call *call); /* its callback will not come; NULL is fine */

/* An end: an exit code, or 128 + signal; and how much was written, AGENT_WRITTEN_ALL where the
 * stream has its own end. @oom: the container has run out of memory before, and no agent_next_oom()
 * has told it. An agent without FEATURE_EXIT_DETAILS tells neither. */
#define AGENT_WRITTEN_ALL UINT64_MAX
struct agent_exit {
	int status;
	bool oom;
	uint64_t written_out;
	uint64_t written_err;
};

/* @exit: NULL with an error. */
typedef void agent_exit_fn(void *ctx, const struct agent_exit *exit, const struct error *err);
/* @stats is valid during the callback only; NULL with an error. */
typedef void agent_stats_fn(void *ctx, const Grpc__StatsContainerResponse *stats,
                            const struct error *err);
typedef void agent_oom_fn(void *ctx, const char *id, const struct error *err);
typedef void agent_time_fn(void *ctx, int64_t ns, const struct error *err);
typedef void agent_features_fn(void *ctx, unsigned int features, const struct error *err);

/* The callback as its caller gave it: one of the kinds that the headers declare. */
union agent_done {
	done_fn *plain;
	agent_exit_fn *exit;
	agent_stats_fn *stats;
	agent_oom_fn *oom;
	agent_time_fn *time;
	agent_features_fn *features;
	guest_read_fn *read;
	guest_written_fn *written;
};

struct agent_method {
	const char *name;
	int timeout_ms;
	ttrpc_done_fn *on_answer;                   /* with the call as its ctx: agent_call_end() */
	const ProtobufCMessageDescriptor *response; /* NULL: an empty one */
	const char *service;                        /* NULL: AGENT_SERVICE */
};

/* Refused where @request has a field that the agent does not know (proto/features.h). *@out
 * (optional) as in agent_client.h. */
int agent_call(struct agent *agent, const struct agent_method *method,
               const ProtobufCMessage *request, union agent_done done, void *ctx,
               struct agent_call **out, struct error *err);
/* Takes a call that has ended apart; what is returned may be called with *@ctx. */
union agent_done agent_call_end(struct agent_call *call, void **ctx);
/* The on_answer of a method whose answer says nothing but that it is done. */
void agent_call_done(void *call, const ProtobufCMessage *response, const struct error *err);

/* A call whose answer is empty. */
int agent_call_plain(struct agent *agent, const char *name, int timeout_ms,
                     const ProtobufCMessage *request, done_fn *done, void *ctx,
                     struct agent_call **out, struct error *err);

const struct config *agent_config(const struct agent *agent);

CLEANUP_DESTROY(agent)

#endif
