/*
 * The guest's agent, as the shim calls it: kata-agent-wire calls over one ttrpc connection, each
 * with a deadline. What a call means is said at the agent's protocol (proto/agent.proto).
 */
#ifndef SHIM_AGENT_CLIENT_H
#define SHIM_AGENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/agent.pb-c.h"
#include "shim/pod/agent_call.h"

/* Completion contract of proto/ttrpc/ttrpc_client.h. *@out is the pending call, for agent_forget(), until
 * @done is called. */
int agent_create_sandbox(struct agent *agent, const Grpc__CreateSandboxRequest *request,
                         done_fn *done, void *ctx, struct error *err);
int agent_create_container(struct agent *agent, const Grpc__CreateContainerRequest *request,
                           done_fn *done, void *ctx, struct agent_call **out, struct error *err);
int agent_exec_process(struct agent *agent, const Grpc__ExecProcessRequest *request, done_fn *done,
                       void *ctx, struct agent_call **out, struct error *err);
int agent_update_container(struct agent *agent, const Grpc__UpdateContainerRequest *request,
                           done_fn *done, void *ctx, struct agent_call **out, struct error *err);

/* What the agent answers (the interface, the routes) is not told: it is the guest's word. */
int agent_update_interface(struct agent *agent, const Grpc__UpdateInterfaceRequest *request,
                           done_fn *done, void *ctx, struct agent_call **out, struct error *err);
int agent_update_routes(struct agent *agent, const Grpc__UpdateRoutesRequest *request,
                        done_fn *done, void *ctx, struct agent_call **out, struct error *err);
int agent_add_neighbours(struct agent *agent, const Grpc__AddARPNeighborsRequest *request,
                         done_fn *done, void *ctx, struct agent_call **out, struct error *err);

/* Takes CPUs offline, the newest first, until there are @cpus. An agent with FEATURE_CPUS_OFFLINE. */
int agent_offline(struct agent *agent, uint32_t cpus, done_fn *done, void *ctx, struct error *err);
/* Brings online what was plugged: CPUs, until there are @cpus in all, and (@cpu_only: not) memory. */
int agent_online(struct agent *agent, uint32_t cpus, bool cpu_only, done_fn *done, void *ctx,
                 struct error *err);
/* Swaps to the disk at @path (vm_device_path()). */
int agent_add_swap(struct agent *agent, const char *path, done_fn *done, void *ctx,
                   struct agent_call **out, struct error *err);
int agent_destroy_sandbox(struct agent *agent, done_fn *done, void *ctx, struct error *err);
int agent_start_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                          struct agent_call **out, struct error *err);
int agent_remove_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                           struct agent_call **out, struct error *err);
int agent_pause_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                          struct agent_call **out, struct error *err);
int agent_resume_container(struct agent *agent, const char *id, done_fn *done, void *ctx,
                           struct agent_call **out, struct error *err);

/* A process is named by its container and its exec id; the init's exec id is the container's id. */
struct agent_process {
	const char *container_id;
	const char *exec_id;
};

/* With an empty exec id: to every process of the container, for which any signal but SIGKILL needs
 * FEATURE_SIGNAL_ALL. */
int agent_signal(struct agent *agent, const struct agent_process *process, uint32_t signal,
                 done_fn *done, void *ctx, struct agent_call **out, struct error *err);
/* Kills an unwanted exec and removes it from the agent's list; no callback. */
void agent_end_exec(struct agent *agent, const struct agent_process *exec);
int agent_resize(struct agent *agent, const struct agent_process *process, uint32_t rows,
                 uint32_t columns, done_fn *done, void *ctx, struct error *err);

/* Waits for as long as the process runs. */
int agent_wait(struct agent *agent, const struct agent_process *process, agent_exit_fn *done,
               void *ctx, struct agent_call **out, struct error *err);

int agent_stats(struct agent *agent, const char *id, agent_stats_fn *done, void *ctx,
                struct error *err);

/* Whether it serves (Health.Check). */
int agent_check(struct agent *agent, done_fn *done, void *ctx, struct error *err);
/* The features that it names, a set of enum feature; the agent is to be made anew with them. */
int agent_ask_features(struct agent *agent, agent_features_fn *done, void *ctx, struct error *err);

/* Waits for the next container that runs out of memory. */
int agent_next_oom(struct agent *agent, agent_oom_fn *done, void *ctx, struct error *err);

/*
 * The guest's clock (proto/features.h: FEATURE_CLOCK). @on_time: what it showed between question and
 * answer, ns since 1970. It is shifted at once, or (@slew) by and by; agent_set_time() is for agents
 * that know no shift.
 */
int agent_get_time(struct agent *agent, agent_time_fn *on_time, void *ctx, struct agent_call **out,
                   struct error *err);
int agent_shift_time(struct agent *agent, int64_t ns, bool slew, done_fn *done, void *ctx,
                     struct agent_call **out, struct error *err);
int agent_set_time(struct agent *agent, int64_t ns, done_fn *done, void *ctx,
                   struct agent_call **out, struct error *err);

#endif
