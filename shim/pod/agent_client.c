#include "shim/pod/agent_client.h"

#include <assert.h>
#include <signal.h>
#include <sys/queue.h>

#include "common/mem.h"
#include "proto/features.h"
#include "proto/google.pb-c.h"
#include "proto/ttrpc/ttrpc_client.h"
#include "shim/config/config.h"

#define AGENT_SERVICE "grpc.AgentService"
#define AGENT_FOREVER 0
#define NS_PER_S      1000000000LL
#define NS_PER_US     1000

/* The callback as its caller gave it: one of the kinds that the header declares. */
union agent_done {
	done_fn *plain;
	agent_exit_fn *exit;
	agent_stats_fn *stats;
	agent_oom_fn *oom;
	agent_time_fn *time;
};

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

/* Takes a call that has ended apart; what is returned may be called with *@ctx. */
static union agent_done call_end(struct agent_call *call, void **ctx)
{
	union agent_done done = call->done;

	*ctx = call->ctx;
	call_free(call);
	return done;
}

static void on_done(void *call, const ProtobufCMessage *response, const struct error *err)
{
	void *ctx;
	union agent_done done = call_end(call, &ctx);

	done.plain(ctx, err);
}

static uint64_t bytes_of(const Grpc__Written *written)
{
	return written ? written->bytes : AGENT_WRITTEN_ALL;
}

static void on_exit_status(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__WaitProcessResponse *answer = (const void *)response;
	struct agent_exit exit;
	void *ctx;
	union agent_done done = call_end(call, &ctx);

	if (answer)
		exit = (struct agent_exit){ answer->status, answer->oom,
			                    bytes_of(answer->written_out),
			                    bytes_of(answer->written_err) };
	done.exit(ctx, answer ? &exit : NULL, err);
}

static void on_stats(void *call, const ProtobufCMessage *response, const struct error *err)
{
	void *ctx;
	union agent_done done = call_end(call, &ctx);

	done.stats(ctx, (const void *)response, err);
}

static void on_oom(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__OOMEvent *event = (const void *)response;
	void *ctx;
	union agent_done done = call_end(call, &ctx);

	done.oom(ctx, event ? event->container_id : NULL, err);
}

static void on_time(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__GuestDetailsResponse *answer = (const void *)response;
	struct error own;
	int64_t ns = 0;
	void *ctx;
	union agent_done done = call_end(call, &ctx);

	if (answer && answer->clock_case == GRPC__GUEST_DETAILS_RESPONSE__CLOCK_CLOCK_NS) {
		ns = answer->clock_ns;
	} else if (!err) {
		error_set(&own, ERROR_INTERNAL, "the agent does not tell the guest's time");
		err = &own;
	}
	done.time(ctx, ns, err);
}

struct method {
	const char *name;
	int timeout_ms;
	ttrpc_done_fn *on_answer;
	const ProtobufCMessageDescriptor *response; /* NULL: an empty one */
};

static int call(struct agent *agent, const struct method *method, const ProtobufCMessage *request,
                union agent_done done, void *ctx, struct agent_call **out, struct error *err)
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
	r = ttrpc_client_call(agent->client, AGENT_SERVICE, method->name, request, response,
	                      method->timeout_ms, method->on_answer, pending, &pending->id, err);
	if (r < 0)
		call_free(pending);
	else if (out)
		*out = pending;
	return r;
}

static int call_plain(struct agent *agent, const char *name, int timeout_ms,
                      const ProtobufCMessage *request, done_fn *done, void *ctx,
                      struct agent_call **out, struct error *err)
{
	const struct method method = { name, timeout_ms, on_done, NULL };

	return call(agent, &method, request, (union agent_done){ .plain = done }, ctx, out, err);
}

int agent_create_sandbox(struct agent *agent, const Grpc__CreateSandboxRequest *request,
                         done_fn *done, void *ctx, struct error *err)
{
	return call_plain(agent, "CreateSandbox", agent->config->agent_timeout_ms, &request->base,
	                  done, ctx, NULL, err);
}

int agent_create_container(struct agent *agent, const Grpc__CreateContainerRequest *request,
                           done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	return call_plain(agent, "CreateContainer", agent->config->create_timeout_ms,
	                  &request->base, done, ctx, out, err);
}

int agent_exec_process(struct agent *agent, const Grpc__ExecProcessRequest *request, done_fn *done,
                       void *ctx, struct agent_call **out, struct error *err)
{
	return call_plain(agent, "ExecProcess", agent->config->agent_timeout_ms, &request->base,
	                  done, ctx, out, err);
}

int agent_update_container(struct agent *agent, const Grpc__UpdateContainerRequest *request,
                           done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	return call_plain(agent, "UpdateContainer", agent->config->agent_timeout_ms, &request->base,
	                  done, ctx, out, err);
}

int agent_update_interface(struct agent *agent, const Grpc__UpdateInterfaceRequest *request,
                           done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	const struct method method = { "UpdateInterface", agent->config->agent_timeout_ms, on_done,
		                       &types__interface__descriptor };

	return call(agent, &method, &request->base, (union agent_done){ .plain = done }, ctx, out,
	            err);
}

int agent_update_routes(struct agent *agent, const Grpc__UpdateRoutesRequest *request,
                        done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	const struct method method = { "UpdateRoutes", agent->config->agent_timeout_ms, on_done,
		                       &grpc__routes__descriptor };

	return call(agent, &method, &request->base, (union agent_done){ .plain = done }, ctx, out,
	            err);
}

int agent_add_neighbours(struct agent *agent, const Grpc__AddARPNeighborsRequest *request,
                         done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	return call_plain(agent, "AddARPNeighbors", agent->config->agent_timeout_ms, &request->base,
	                  done, ctx, out, err);
}

int agent_online(struct agent *agent, uint32_t cpus, bool cpu_only, done_fn *done, void *ctx,
                 struct error *err)
{
	Grpc__OnlineCPUMemRequest request = GRPC__ONLINE_CPUMEM_REQUEST__INIT;

	request.wait = true;
	request.nb_cpus = cpus;
	request.cpu_only = cpu_only;
	return call_plain(agent, "OnlineCPUMem", agent->config->agent_timeout_ms, &request.base,
	                  done, ctx, NULL, err);
}

int agent_destroy_sandbox(struct agent *agent, done_fn *done, void *ctx, struct error *err)
{
	const Grpc__DestroySandboxRequest request = GRPC__DESTROY_SANDBOX_REQUEST__INIT;

	return call_plain(agent, "DestroySandbox", agent->config->agent_stop_timeout_ms,
	                  &request.base, done, ctx, NULL, err);
}

int agent_start_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                          struct agent_call **out, struct error *err)
{
	Grpc__StartContainerRequest request = GRPC__START_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return call_plain(agent, "StartContainer", agent->config->agent_timeout_ms, &request.base,
	                  done, ctx, out, err);
}

int agent_remove_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                           struct agent_call **out, struct error *err)
{
	Grpc__RemoveContainerRequest request = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return call_plain(agent, "RemoveContainer", agent->config->agent_timeout_ms, &request.base,
	                  done, ctx, out, err);
}

int agent_pause_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                          struct agent_call **out, struct error *err)
{
	Grpc__PauseContainerRequest request = GRPC__PAUSE_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return call_plain(agent, "PauseContainer", agent->config->agent_timeout_ms, &request.base,
	                  done, ctx, out, err);
}

int agent_resume_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                           struct agent_call **out, struct error *err)
{
	Grpc__ResumeContainerRequest request = GRPC__RESUME_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return call_plain(agent, "ResumeContainer", agent->config->agent_timeout_ms, &request.base,
	                  done, ctx, out, err);
}

int agent_signal(struct agent *agent, const struct agent_process *process, uint32_t signal,
                 done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	request.container_id = (char *)process->container_id;
	request.exec_id = (char *)process->exec_id;
	request.signal = signal;
	request.all = !*process->exec_id && signal != SIGKILL;
	return call_plain(agent, "SignalProcess", agent->config->agent_timeout_ms, &request.base,
	                  done, ctx, out, err);
}

int agent_resize(struct agent *agent, const struct agent_process *process, uint32_t rows,
                 uint32_t columns, done_fn *done, void *ctx, struct error *err)
{
	Grpc__TtyWinResizeRequest request = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;

	request.container_id = (char *)process->container_id;
	request.exec_id = (char *)process->exec_id;
	request.row = rows;
	request.column = columns;
	return call_plain(agent, "TtyWinResize", agent->config->agent_timeout_ms, &request.base,
	                  done, ctx, NULL, err);
}

int agent_wait(struct agent *agent, const struct agent_process *process, agent_exit_fn *done,
               void *ctx, struct agent_call **out, struct error *err)
{
	static const struct method method = { "WaitProcess", AGENT_FOREVER, on_exit_status,
		                              &grpc__wait_process_response__descriptor };
	Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;

	request.container_id = (char *)process->container_id;
	request.exec_id = (char *)process->exec_id;
	request.with_oom = agent->features & FEATURE_EXIT_DETAILS ? 1 : 0;
	return call(agent, &method, &request.base, (union agent_done){ .exit = done }, ctx, out,
	            err);
}

static void on_ended(void *call, const ProtobufCMessage *response, const struct error *err)
{
	void *ctx;

	call_end(call, &ctx);
}

void agent_end_exec(struct agent *agent, const struct agent_process *exec)
{
	const struct method end = { "SignalProcess", agent->config->agent_timeout_ms, on_ended,
		                    NULL };
	const struct method reap = { "WaitProcess", agent->config->agent_timeout_ms, on_ended,
		                     &grpc__wait_process_response__descriptor };
	Grpc__SignalProcessRequest signal = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	const union agent_done nobody = { NULL };

	signal.container_id = wait.container_id = (char *)exec->container_id;
	signal.exec_id = wait.exec_id = (char *)exec->exec_id;
	signal.signal = SIGKILL;
	call(agent, &end, &signal.base, nobody, NULL, NULL, NULL);
	call(agent, &reap, &wait.base, nobody, NULL, NULL, NULL);
}

int agent_stats(struct agent *agent, const char *id, agent_stats_fn *done, void *ctx,
                struct error *err)
{
	const struct method method = { "StatsContainer", agent->config->agent_timeout_ms, on_stats,
		                       &grpc__stats_container_response__descriptor };
	Grpc__StatsContainerRequest request = GRPC__STATS_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return call(agent, &method, &request.base, (union agent_done){ .stats = done }, ctx, NULL,
	            err);
}

int agent_next_oom(struct agent *agent, agent_oom_fn *done, void *ctx, struct error *err)
{
	static const struct method method = { "GetOOMEvent", AGENT_FOREVER, on_oom,
		                              &grpc__oomevent__descriptor };
	const Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;

	return call(agent, &method, &request.base, (union agent_done){ .oom = done }, ctx, NULL,
	            err);
}

int agent_get_time(struct agent *agent, agent_time_fn *done, void *ctx, struct agent_call **out,
                   struct error *err)
{
	const struct method method = { "GetGuestDetails", agent->config->agent_timeout_ms, on_time,
		                       &grpc__guest_details_response__descriptor };
	Grpc__GuestDetailsRequest request = GRPC__GUEST_DETAILS_REQUEST__INIT;

	request.clock = true;
	return call(agent, &method, &request.base, (union agent_done){ .time = done }, ctx, out,
	            err);
}

int agent_shift_time(struct agent *agent, int64_t ns, bool slew, done_fn *done, void *ctx,
                     struct agent_call **out, struct error *err)
{
	Grpc__SetGuestDateTimeRequest request = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;

	if (slew) {
		request.shift_case = GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_SLEW_NS;
		request.slew_ns = ns;
	} else {
		request.shift_case = GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_STEP_NS;
		request.step_ns = ns;
	}
	return call_plain(agent, "SetGuestDateTime", agent->config->agent_timeout_ms, &request.base,
	                  done, ctx, out, err);
}

int agent_set_time(struct agent *agent, int64_t ns, done_fn *done, void *ctx,
                   struct agent_call **out, struct error *err)
{
	Grpc__SetGuestDateTimeRequest request = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;

	request.sec = ns / NS_PER_S;
	request.usec = ns % NS_PER_S / NS_PER_US;
	return call_plain(agent, "SetGuestDateTime", agent->config->agent_timeout_ms, &request.base,
	                  done, ctx, out, err);
}
