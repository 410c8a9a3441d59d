/*
 * Task Pause and Resume: stops and continues all processes of a container by the guest's freezer.
 */
#ifndef SHIM_FREEZE_H
#define SHIM_FREEZE_H

#include <stdbool.h>

#include "proto/ttrpc/ttrpc_server.h"

struct pod;
struct process;

/* Answers @call, now or later. @init is RUNNING (to be frozen) or PAUSED, its turn is free. */
void freeze_run(struct pod *pod, struct process *init, bool freeze, struct ttrpc_call *call);

#endif
