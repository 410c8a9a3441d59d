/*
 * What a container's spec must not ask of this agent. Everything that matters to security is either
 * done or refused here by its name, before anything is made.
 */
#ifndef AGENT_SPEC_CHECK_H
#define AGENT_SPEC_CHECK_H

#include "proto/oci.pb-c.h"

struct error;

/* ERROR_UNIMPLEMENTED: not supported; ERROR_INVALID_ARGUMENT: invalid. */
int spec_check(const Grpc__Spec *spec, struct error *err);

/* A process of it: its init's or an exec's. */
int spec_check_process(const Grpc__Process *process, struct error *err);

#endif
