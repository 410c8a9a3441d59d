/*
 * What the agent serves: grpc.AgentService and grpc.Health, a row for each method. A method that
 * has no row is answered Unimplemented by the server.
 */
#ifndef AGENT_SERVICE_H
#define AGENT_SERVICE_H

struct ttrpc_service;

/* The table for ttrpc_server_create(), with the sandbox as its ctx. */
const struct ttrpc_service *service_table(void);

#endif
