/*
 * Task Start: lets a container's init go on to its execve, or makes an exec in the guest.
 */
#ifndef SHIM_START_H
#define SHIM_START_H

#include "proto/ttrpc/ttrpc_server.h"

struct pod;
struct process;

/* Answers @call, now or later. @process is CREATED, its turn is free. */
void start_run(struct pod *pod, struct process *process, struct ttrpc_call *call);

#endif
