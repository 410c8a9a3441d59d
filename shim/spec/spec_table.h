/*
 * The field tables of an OCI configuration: config.json on one side, the agent's messages on the
 * other. Names of keys are those of runtime-spec (schema/config-schema.json).
 */
#ifndef SHIM_SPEC_TABLE_H
#define SHIM_SPEC_TABLE_H

struct json_table;

extern const struct json_table spec_table;           /* Grpc__Spec */
extern const struct json_table spec_process_table;   /* Grpc__Process */
extern const struct json_table spec_resources_table; /* Grpc__LinuxResources */

#endif
