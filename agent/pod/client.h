/*
 * Who calls the agent: our shim, which has taken the hello (proto/vsock_ports.h), or a client of
 * upstream's protocol alone. What upstream's messages leave unsaid means another thing to each:
 *
 *                                           our shim            another
 *   a process without ports of streams      /dev/null           calls read and write
 *   a spec without a pid namespace          that of the pod     one of its own, unless the call
 *                                                               has sandbox_pidns
 *   ipc and uts namespaces without a path   of its own          those of the pod, unless the spec
 *                                                               has sysctls or a hostname for them
 */
#ifndef AGENT_CLIENT_H
#define AGENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/agent.pb-c.h"

struct client {
	bool is_shim;
};

/* A process with these ports, for stdin, stdout and stderr, is read and written by calls. */
bool client_uses_calls(const struct client *client, const uint32_t ports[3]);

/* The spec in @request then says what the client means by it. */
void client_complete_namespaces(const struct client *client, Grpc__CreateContainerRequest *request);

#endif
