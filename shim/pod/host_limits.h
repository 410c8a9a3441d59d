/*
 * The limits that this host gives its processes beyond a config.json: resource limits, which runc's
 * containers inherit, and settings of the kernel that belong to no namespace. Containers in a guest
 * get equal ones.
 */
#ifndef SHIM_HOST_LIMITS_H
#define SHIM_HOST_LIMITS_H

#include "common/cleanup.h"
#include "proto/agent.pb-c.h"

struct host_limits;

/* Reads those of this process and kernel, once; what cannot be read is left out. */
struct host_limits *host_limits_read(void);
/* Lends them to @request: it is valid as long as they are. */
void host_limits_put(const struct host_limits *limits, Grpc__CreateSandboxRequest *request);
void host_limits_destroy(struct host_limits *limits); /* NULL is fine */

CLEANUP_DESTROY(host_limits)

#endif
