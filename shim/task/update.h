/*
 * Task Update: the guest changes a container's limits.
 */
#ifndef SHIM_UPDATE_H
#define SHIM_UPDATE_H

#include "proto/agent.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"

struct pod;
struct process;

/* Answers @call, now or later. Takes over @resources (spec_parse_resources()); the guest is ready. */
void update_run(struct pod *pod, struct process *init, Grpc__LinuxResources *resources,
                struct ttrpc_call *call);

#endif
