/*
 * Resource limits of a container process (getrlimit(2)).
 */
#ifndef AGENT_RLIMITS_H
#define AGENT_RLIMITS_H

#include "proto/oci.pb-c.h"

struct error;

int rlimits_check(const Grpc__Process *process, struct error *err);
int rlimits_apply(const Grpc__Process *process, struct error *err);

#endif
