/*
 * The host's limits in this guest: resource limits for processes whose spec does not name them, and
 * settings of the kernel, which are at least the host's from then on.
 */
#ifndef AGENT_HOST_LIMITS_H
#define AGENT_HOST_LIMITS_H

#include "proto/agent.pb-c.h"

struct error;
struct host_limits;

/*
 * Raises the settings below @sysctl_dir ("/proc/sys"). What this kernel does not have or take is
 * logged: no container needs it. ERROR_INVALID_ARGUMENT: an unknown resource limit.
 */
int host_limits_create(const Grpc__CreateSandboxRequest *request, const char *sysctl_dir,
                       struct host_limits **out, struct error *err);
void host_limits_destroy(struct host_limits *limits); /* NULL is fine */

/*
 * Gives @process the limits of @from, which may be itself, and those of the host that @from does not
 * name: an array that points into @from and @limits; free() it when @process is done with. NULL
 * @limits: those of @from.
 */
Grpc__POSIXRlimit **host_limits_complete(const struct host_limits *limits,
                                         const Grpc__Process *from, Grpc__Process *process);

#endif
