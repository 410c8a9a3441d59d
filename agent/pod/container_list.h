/*
 * The containers of the sandbox, and what each has of it: storages, the pod's namespaces. Making one
 * is a sequence of steps (common/loop/seq.h); what fails or is cancelled is undone before it is told.
 */
#ifndef AGENT_CONTAINER_LIST_H
#define AGENT_CONTAINER_LIST_H

#include <stdbool.h>

#include "agent/guest/disk_wait.h"
#include "common/error.h"
#include "proto/agent.pb-c.h"

struct client;
struct container;
struct container_list;
struct ev_loop;
struct host_limits;
struct memory_pressure;
struct oom;
struct pod_namespaces;
struct storage_list;
struct streams;

/* All of it outlives the list. */
struct container_list_config {
	struct ev_loop *loop;
	struct streams *streams;
	const struct client *client;
	const char *cgroup_mount;
	struct oom *oom;
	struct memory_pressure *pressure; /* watched from the first container on */
	struct storage_list *storages;
	struct pod_namespaces *namespaces;
	struct disk_wait_config disks;
	/* As modprobe_load(), in a child process; NULL: none is loaded. */
	bool (*load_module)(const char *alias);
};

struct container_list *container_list_create(const struct container_list_config *config);

/* NULL is fine. Calls under way fail with @why; nothing is undone. */
void container_list_destroy(struct container_list *list, const struct error *why);

/* ERROR_RESOURCE_EXHAUSTED: there are LIMIT_CONTAINERS. Takes the spec out of @request. @limits outlive the container; NULL: none. @done comes once unless
 * an error is returned, maybe before this returns; after an error nothing of the container is left.
 */
int container_list_add(struct container_list *list, Grpc__CreateContainerRequest *request,
                       const struct host_limits *limits, done_fn *done, void *ctx,
                       struct error *err);

/* @done comes once unless an error is returned, maybe before this returns. */
int container_list_remove(struct container_list *list, const char *id, done_fn *done, void *ctx,
                          struct error *err);

/* @unknown: the code of the error when there is no such container. ERROR_FAILED_PRECONDITION: it is
 * still being made. */
int container_list_find(const struct container_list *list, const char *id, enum error_code unknown,
                        struct container **out, struct error *err);

/* Kills every process. Containers that are still being made fail with @why. */
void container_list_kill(struct container_list *list, const struct error *why);

#endif
