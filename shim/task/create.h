/*
 * Task Create: from a bundle to a container that waits in the guest before its execve.
 */
#ifndef SHIM_CREATE_H
#define SHIM_CREATE_H

#include "proto/task_v2.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"

struct pod;

/* Answers @call, now or later; @request is the call's. */
void create_run(struct pod *pod, struct ttrpc_call *call,
                const Containerd__Task__V2__CreateTaskRequest *request);

#endif
