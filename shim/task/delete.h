/*
 * Task Delete: drains what a process has written, then takes it out of the guest and off the host.
 */
#ifndef SHIM_DELETE_H
#define SHIM_DELETE_H

#include "proto/ttrpc/ttrpc_server.h"

struct pod;
struct process;

/* Answers @call, now or later; then the process is gone, with an init its container. @process is
 * CREATED or STOPPED, its turn is free. */
void delete_run(struct pod *pod, struct process *process, struct ttrpc_call *call);

#endif
