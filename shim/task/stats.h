/*
 * Stats: the figures of a container's cgroup in the guest, for containerd's types.
 */
#ifndef SHIM_STATS_H
#define SHIM_STATS_H

#include "proto/google.pb-c.h"

struct container;
struct pod;
struct ttrpc_call;

/* Answers the call. The guest is ready. A pause container uses nothing: its figures are zeros, since
 * some clients (CRI-O, docker) need all of them to be there. */
void stats_run(struct pod *pod, const struct container *container, struct ttrpc_call *call);

/* The same for the pause container of @pod; @out's value is free()d by the caller. */
void stats_encode_pause(const struct pod *pod, Google__Protobuf__Any *out);

#endif
