/*
 * Files of the host that a container binds: hosts, resolv.conf. Docker and others write to them when
 * they set a network up, between Create and Start. The guest's kernel believes for a second what it
 * knows of a file (virtio_fs_cache), its size as well, and knows it since the mounts were made: the
 * container's first process would miss what was written. So it is asked anew before the start, by
 * a child process: a file server need not answer. That takes some milliseconds, so it is done for a
 * container that was alone when it came: who makes pods of several has a network before the first.
 */
#ifndef AGENT_BOUND_FILES_H
#define AGENT_BOUND_FILES_H

#include <stdbool.h>

#include "common/error.h"
#include "proto/oci.pb-c.h"

struct errand;
struct ev_loop;

#define BOUND_FILES_TIMEOUT_MS 5000

/* Whether there is anything that could be a file. */
bool bound_files_any(const Grpc__Spec *spec);

/* @done: the guest has what the host has, or will have it in a second. @spec is the child's own. */
int bound_files_refresh(struct ev_loop *loop, const Grpc__Spec *spec, done_fn *done, void *ctx,
                        struct errand **out, struct error *err);

#endif
