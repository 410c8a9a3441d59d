/*
 * An OCI runtime configuration (runtime-spec 1.0 to 1.2, config.md and config-linux.md) from
 * config.json to the agent's messages. The tables are in spec_table.c.
 *
 * What the agent's messages have no field for is refused by name (ERROR_UNIMPLEMENTED) when the
 * file asks for it, unless it is what a container gets anyway. What the messages can carry is
 * carried: the agent knows best what it can do. Unknown keys are ignored (config.md,
 * "Extensibility").
 */
#ifndef SHIM_SPEC_H
#define SHIM_SPEC_H

#include <stddef.h>

#include "common/cleanup.h"
#include "proto/oci.pb-c.h"

struct error;

/* "config.json: process.args[2]: expected string, found integer". Free by spec_free(). */
/* The spec has a process with a command, a user and an absolute cwd, and a root. */
int spec_parse(const char *text, size_t len, Grpc__Spec **out, struct error *err);
void spec_free(Grpc__Spec *spec); /* NULL is fine */

/* A process alone, as it comes with Exec. "process spec: cwd: …". Free by spec_process_free(). */
int spec_parse_process(const char *text, size_t len, Grpc__Process **out, struct error *err);
void spec_process_free(Grpc__Process *process); /* NULL is fine */

/* The limits of a container alone, as they come with Update. "resources: memory.limit: …". Free by
 * spec_resources_free(). */
int spec_parse_resources(const char *text, size_t len, Grpc__LinuxResources **out,
                         struct error *err);
void spec_resources_free(Grpc__LinuxResources *resources); /* NULL is fine */

/* The value of an annotation, or NULL. */
const char *spec_annotation(const Grpc__Spec *spec, const char *key);

static inline void cleanup_spec(Grpc__Spec **spec)
{
	spec_free(*spec);
}

static inline void cleanup_spec_process(Grpc__Process **process)
{
	spec_process_free(*process);
}

static inline void cleanup_spec_resources(Grpc__LinuxResources **resources)
{
	spec_resources_free(*resources);
}

#endif
