/*
 * Task Kill: a signal goes to the guest, whose verdict is the answer. SIGKILL to a container's init
 * works even if the guest does nothing: then its machine is ended, and so is the process.
 */
#ifndef SHIM_KILL_H
#define SHIM_KILL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/ttrpc/ttrpc_server.h"

struct pod;
struct process;

/* Answers @call, now or later. @process is alive or CREATED, and the guest is ready. @all: every
 * process of the container, of whose init @process is. */
void kill_run(struct pod *pod, struct process *process, uint32_t signal, bool all,
              struct ttrpc_call *call);

#endif
