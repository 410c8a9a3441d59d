/*
 * The pod in this guest: its share, its host name, its containers.
 */
#ifndef AGENT_SANDBOX_H
#define AGENT_SANDBOX_H

#include "common/error.h"
#include "proto/agent.pb-c.h"

struct container;
struct ev_loop;
struct oom;
struct sandbox;
struct streams;

#define SANDBOX_CONTAINERS_MAX      1024
#define SANDBOX_TEARDOWN_TIMEOUT_MS 4000 /* the host waits for 5 s */

/* @loop is the default loop. @cgroup_mount: where cgroup v2 is mounted (CGROUP_MOUNT). */
struct sandbox *sandbox_create(struct ev_loop *loop, struct streams *streams,
                               const char *cgroup_mount);
void sandbox_destroy(struct sandbox *sandbox); /* NULL is fine */

/* Mounts the storages, sets the host name. On failure nothing stays mounted. */
int sandbox_setup(struct sandbox *sandbox, const Grpc__CreateSandboxRequest *request,
                  struct error *err);

/*
 * Kills every process of every container; then a child process writes back what is dirty and unmounts
 * the storages. @done comes once unless an error is returned, without an error: what could not be
 * done within SANDBOX_TEARDOWN_TIMEOUT_MS is logged. No container is added any more.
 */
int sandbox_teardown(struct sandbox *sandbox, done_fn *done, void *ctx, struct error *err);

/* Takes over @spec. @done comes once unless an error is returned; after an error nothing of the
 * container is left. */
int sandbox_add(struct sandbox *sandbox, const char *id, Grpc__Spec *spec, const uint32_t ports[3],
                done_fn *done, void *ctx, struct error *err);

/* @done comes once unless an error is returned, maybe before this returns. */
int sandbox_remove(struct sandbox *sandbox, const char *id, done_fn *done, void *ctx,
                   struct error *err);

/* @unknown: the code of the error when there is no such container. */
int sandbox_find(const struct sandbox *sandbox, const char *id, enum error_code unknown,
                 struct container **out, struct error *err);

struct oom *sandbox_oom(const struct sandbox *sandbox); /* owned by the sandbox */

#endif
