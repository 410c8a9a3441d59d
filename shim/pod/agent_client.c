#include "shim/pod/agent_client.h"

#include <signal.h>
#include <stdlib.h>

#include "proto/features.h"
#include "proto/health.pb-c.h"
#include "shim/config/config.h"
#include "shim/pod/agent_call.h"

#define HEALTH_SERVICE "grpc.Health"
#define NS_PER_S       1000000000LL
#define NS_PER_US      1000
#define PCI_SLOTS_MAX  8

static uint64_t bytes_of(const Grpc__Written *written)
{
	return written ? written->bytes : AGENT_WRITTEN_ALL;
}

static void on_exit_status(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__WaitProcessResponse *answer = (const void *)response;
	struct agent_exit exit;
	void *ctx;
	union agent_done done = agent_call_end(call, &ctx);

	if (answer)
		exit = (struct agent_exit){ answer->status, answer->oom,
			                    bytes_of(answer->written_out),
			                    bytes_of(answer->written_err) };
	done.exit(ctx, answer ? &exit : NULL, err);
}

static void on_stats(void *call, const ProtobufCMessage *response, const struct error *err)
{
	void *ctx;
	union agent_done done = agent_call_end(call, &ctx);

	done.stats(ctx, (const void *)response, err);
}

static void on_oom(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__OOMEvent *event = (const void *)response;
	void *ctx;
	union agent_done done = agent_call_end(call, &ctx);

	done.oom(ctx, event ? event->container_id : NULL, err);
}

static unsigned int features_of(const Grpc__AgentDetails *details)
{
	unsigned int features = 0;

	for (size_t i = 0; details && i < details->n_extra_features; i++)
		features |= features_parse(details->extra_features[i]);
	return features;
}

static void on_features(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__GuestDetailsResponse *answer = (const void *)response;
	void *ctx;
	union agent_done done = agent_call_end(call, &ctx);

	done.features(ctx, answer ? features_of(answer->agent_details) : 0, err);
}

static void on_checked(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__HealthCheckResponse *answer = (const void *)response;
	struct error own;
	void *ctx;
	union agent_done done = agent_call_end(call, &ctx);

	if (answer && answer->status != GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING) {
		error_set(&own, ERROR_UNAVAILABLE, "the agent does not serve: status %d",
		          (int)answer->status);
		err = &own;
	}
	done.plain(ctx, err);
}

static void on_time(void *call, const ProtobufCMessage *response, const struct error *err)
{
	const Grpc__GuestDetailsResponse *answer = (const void *)response;
	struct error own;
	int64_t ns = 0;
	void *ctx;
	union agent_done done = agent_call_end(call, &ctx);

	if (answer && answer->clock_case == GRPC__GUEST_DETAILS_RESPONSE__CLOCK_CLOCK_NS) {
		ns = answer->clock_ns;
	} else if (!err) {
		error_set(&own, ERROR_INTERNAL, "the agent does not tell the guest's time");
		err = &own;
	}
	done.time(ctx, ns, err);
}

int agent_create_sandbox(struct agent *agent, const Grpc__CreateSandboxRequest *request,
                         done_fn *done, void *ctx, struct error *err)
{
	return agent_call_plain(agent, "CreateSandbox", agent_config(agent)->agent_timeout_ms,
	                        &request->base, done, ctx, NULL, err);
}

int agent_create_container(struct agent *agent, const Grpc__CreateContainerRequest *request,
                           done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	return agent_call_plain(agent, "CreateContainer", agent_config(agent)->create_timeout_ms,
	                        &request->base, done, ctx, out, err);
}

int agent_exec_process(struct agent *agent, const Grpc__ExecProcessRequest *request, done_fn *done,
                       void *ctx, struct agent_call **out, struct error *err)
{
	return agent_call_plain(agent, "ExecProcess", agent_config(agent)->agent_timeout_ms,
	                        &request->base, done, ctx, out, err);
}

int agent_update_container(struct agent *agent, const Grpc__UpdateContainerRequest *request,
                           done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	return agent_call_plain(agent, "UpdateContainer", agent_config(agent)->agent_timeout_ms,
	                        &request->base, done, ctx, out, err);
}

int agent_update_interface(struct agent *agent, const Grpc__UpdateInterfaceRequest *request,
                           done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	const struct agent_method method = {
		.name = "UpdateInterface",
		.timeout_ms = agent_config(agent)->agent_timeout_ms,
		.on_answer = agent_call_done,
		.response = &types__interface__descriptor,
	};

	return agent_call(agent, &method, &request->base, (union agent_done){ .plain = done }, ctx,
	                  out, err);
}

int agent_update_routes(struct agent *agent, const Grpc__UpdateRoutesRequest *request,
                        done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	const struct agent_method method = {
		.name = "UpdateRoutes",
		.timeout_ms = agent_config(agent)->agent_timeout_ms,
		.on_answer = agent_call_done,
		.response = &grpc__routes__descriptor,
	};

	return agent_call(agent, &method, &request->base, (union agent_done){ .plain = done }, ctx,
	                  out, err);
}

int agent_add_neighbours(struct agent *agent, const Grpc__AddARPNeighborsRequest *request,
                         done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	return agent_call_plain(agent, "AddARPNeighbors", agent_config(agent)->agent_timeout_ms,
	                        &request->base, done, ctx, out, err);
}

int agent_online(struct agent *agent, uint32_t cpus, bool cpu_only, done_fn *done, void *ctx,
                 struct error *err)
{
	Grpc__OnlineCPUMemRequest request = GRPC__ONLINE_CPUMEM_REQUEST__INIT;

	request.wait = true;
	request.nb_cpus = cpus;
	request.cpu_only = cpu_only;
	return agent_call_plain(agent, "OnlineCPUMem", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, NULL, err);
}

int agent_offline(struct agent *agent, uint32_t cpus, done_fn *done, void *ctx, struct error *err)
{
	Grpc__OnlineCPUMemRequest request = GRPC__ONLINE_CPUMEM_REQUEST__INIT;

	request.wait = true;
	request.nb_cpus = cpus;
	request.cpu_only = true;
	request.exact = true;
	return agent_call_plain(agent, "OnlineCPUMem", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, NULL, err);
}

int agent_add_swap(struct agent *agent, const char *path, done_fn *done, void *ctx,
                   struct agent_call **out, struct error *err)
{
	Grpc__AddSwapRequest request = GRPC__ADD_SWAP_REQUEST__INIT;
	uint32_t slots[PCI_SLOTS_MAX];
	const char *at = path;

	request.pcipath = slots;
	while (*at && request.n_pcipath < PCI_SLOTS_MAX) {
		char *end;

		slots[request.n_pcipath++] = (uint32_t)strtoul(at, &end, 16);
		at = *end ? end + 1 : end;
	}
	return agent_call_plain(agent, "AddSwap", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, out, err);
}

int agent_destroy_sandbox(struct agent *agent, done_fn *done, void *ctx, struct error *err)
{
	const Grpc__DestroySandboxRequest request = GRPC__DESTROY_SANDBOX_REQUEST__INIT;

	return agent_call_plain(agent, "DestroySandbox", agent_config(agent)->agent_stop_timeout_ms,
	                        &request.base, done, ctx, NULL, err);
}

int agent_start_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                          struct agent_call **out, struct error *err)
{
	Grpc__StartContainerRequest request = GRPC__START_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return agent_call_plain(agent, "StartContainer", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, out, err);
}

int agent_remove_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                           struct agent_call **out, struct error *err)
{
	Grpc__RemoveContainerRequest request = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return agent_call_plain(agent, "RemoveContainer", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, out, err);
}

int agent_pause_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                          struct agent_call **out, struct error *err)
{
	Grpc__PauseContainerRequest request = GRPC__PAUSE_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return agent_call_plain(agent, "PauseContainer", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, out, err);
}

int agent_resume_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                           struct agent_call **out, struct error *err)
{
	Grpc__ResumeContainerRequest request = GRPC__RESUME_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return agent_call_plain(agent, "ResumeContainer", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, out, err);
}

int agent_signal(struct agent *agent, const struct agent_process *process, uint32_t signal,
                 done_fn *done, void *ctx, struct agent_call **out, struct error *err)
{
	Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	request.container_id = (char *)process->container_id;
	request.exec_id = (char *)process->exec_id;
	request.signal = signal;
	request.all = !*process->exec_id && signal != SIGKILL;
	return agent_call_plain(agent, "SignalProcess", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, out, err);
}

int agent_resize(struct agent *agent, const struct agent_process *process, uint32_t rows,
                 uint32_t columns, done_fn *done, void *ctx, struct error *err)
{
	Grpc__TtyWinResizeRequest request = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;

	request.container_id = (char *)process->container_id;
	request.exec_id = (char *)process->exec_id;
	request.row = rows;
	request.column = columns;
	return agent_call_plain(agent, "TtyWinResize", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, NULL, err);
}

int agent_wait(struct agent *agent, const struct agent_process *process, agent_exit_fn *done,
               void *ctx, struct agent_call **out, struct error *err)
{
	static const struct agent_method method = {
		.name = "WaitProcess",
		.timeout_ms = AGENT_FOREVER,
		.on_answer = on_exit_status,
		.response = &grpc__wait_process_response__descriptor,
	};
	Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;

	request.container_id = (char *)process->container_id;
	request.exec_id = (char *)process->exec_id;
	request.with_oom = agent_has(agent, FEATURE_EXIT_DETAILS) ? 1 : 0;
	return agent_call(agent, &method, &request.base, (union agent_done){ .exit = done }, ctx,
	                  out, err);
}

static void on_ended(void *call, const ProtobufCMessage *response, const struct error *err)
{
	void *ctx;

	agent_call_end(call, &ctx);
}

void agent_end_exec(struct agent *agent, const struct agent_process *exec)
{
	const struct agent_method end = {
		.name = "SignalProcess",
		.timeout_ms = agent_config(agent)->agent_timeout_ms,
		.on_answer = on_ended,
	};
	const struct agent_method reap = {
		.name = "WaitProcess",
		.timeout_ms = agent_config(agent)->agent_timeout_ms,
		.on_answer = on_ended,
		.response = &grpc__wait_process_response__descriptor,
	};
	Grpc__SignalProcessRequest signal = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	const union agent_done nobody = { NULL };

	signal.container_id = wait.container_id = (char *)exec->container_id;
	signal.exec_id = wait.exec_id = (char *)exec->exec_id;
	signal.signal = SIGKILL;
	agent_call(agent, &end, &signal.base, nobody, NULL, NULL, NULL);
	agent_call(agent, &reap, &wait.base, nobody, NULL, NULL, NULL);
}

int agent_stats(struct agent *agent, const char *id, agent_stats_fn *done, void *ctx,
                struct error *err)
{
	const struct agent_method method = {
		.name = "StatsContainer",
		.timeout_ms = agent_config(agent)->agent_timeout_ms,
		.on_answer = on_stats,
		.response = &grpc__stats_container_response__descriptor,
	};
	Grpc__StatsContainerRequest request = GRPC__STATS_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return agent_call(agent, &method, &request.base, (union agent_done){ .stats = done }, ctx,
	                  NULL, err);
}

int agent_next_oom(struct agent *agent, agent_oom_fn *done, void *ctx, struct error *err)
{
	static const struct agent_method method = {
		.name = "GetOOMEvent",
		.timeout_ms = AGENT_FOREVER,
		.on_answer = on_oom,
		.response = &grpc__oomevent__descriptor,
	};
	const Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;

	return agent_call(agent, &method, &request.base, (union agent_done){ .oom = done }, ctx,
	                  NULL, err);
}

int agent_get_time(struct agent *agent, agent_time_fn *done, void *ctx, struct agent_call **out,
                   struct error *err)
{
	const struct agent_method method = {
		.name = "GetGuestDetails",
		.timeout_ms = agent_config(agent)->agent_timeout_ms,
		.on_answer = on_time,
		.response = &grpc__guest_details_response__descriptor,
	};
	Grpc__GuestDetailsRequest request = GRPC__GUEST_DETAILS_REQUEST__INIT;

	request.clock = true;
	return agent_call(agent, &method, &request.base, (union agent_done){ .time = done }, ctx,
	                  out, err);
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
	return agent_call_plain(agent, "SetGuestDateTime", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, out, err);
}

int agent_set_time(struct agent *agent, int64_t ns, done_fn *done, void *ctx,
                   struct agent_call **out, struct error *err)
{
	Grpc__SetGuestDateTimeRequest request = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;

	request.sec = ns / NS_PER_S;
	request.usec = ns % NS_PER_S / NS_PER_US;
	return agent_call_plain(agent, "SetGuestDateTime", agent_config(agent)->agent_timeout_ms,
	                        &request.base, done, ctx, out, err);
}

int agent_check(struct agent *agent, done_fn *done, void *ctx, struct error *err)
{
	const struct agent_method method = {
		.service = HEALTH_SERVICE,
		.name = "Check",
		.timeout_ms = agent_config(agent)->agent_connect_timeout_ms,
		.on_answer = on_checked,
		.response = &grpc__health_check_response__descriptor,
	};
	const Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;

	return agent_call(agent, &method, &request.base, (union agent_done){ .plain = done }, ctx,
	                  NULL, err);
}

int agent_ask_features(struct agent *agent, agent_features_fn *done, void *ctx, struct error *err)
{
	const struct agent_method method = {
		.name = "GetGuestDetails",
		.timeout_ms = agent_config(agent)->agent_connect_timeout_ms,
		.on_answer = on_features,
		.response = &grpc__guest_details_response__descriptor,
	};
	const Grpc__GuestDetailsRequest request = GRPC__GUEST_DETAILS_REQUEST__INIT;

	return agent_call(agent, &method, &request.base, (union agent_done){ .features = done },
	                  ctx, NULL, err);
}
