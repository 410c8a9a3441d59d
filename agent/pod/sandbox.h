/*
 * The pod in this guest: its storages, its host name, its containers.
 */
#ifndef AGENT_SANDBOX_H
#define AGENT_SANDBOX_H

#include <stdbool.h>

#include "common/error.h"
#include "proto/agent.pb-c.h"

struct client;
struct container;
struct disk_wait_config;
struct ev_loop;
struct network;
struct oom;
struct sandbox;
struct storage_driver;
struct streams;
struct uevents;

#define SANDBOX_TEARDOWN_TIMEOUT_MS 4000 /* the host waits for 5 s */

/* All of it outlives the sandbox. */
struct sandbox_config {
	struct ev_loop *loop; /* the default loop */
	struct streams *streams;
	const struct client *client;
	struct network *network;
	struct uevents *uevents;
	const char *cgroup_mount;                     /* of cgroup v2: CGROUP_MOUNT */
	const struct storage_driver *storage_drivers; /* storage_drivers() */
	const char *root;                             /* of the guest's own files: "" */
	const char *pressure_file;                    /* MEMORY_PRESSURE_FILE; NULL: none */
	bool (*load_module)(const char *alias);       /* modprobe_load(); NULL: none is loaded */
};

struct sandbox *sandbox_create(const struct sandbox_config *config);

/* NULL is fine. Calls under way fail; nothing of them is undone but what is mounted. */
void sandbox_destroy(struct sandbox *sandbox);

/* Sets the host name and the pod's kernel settings, writes resolv.conf, mounts the storages. @done comes once unless an error is returned, maybe before
 * this returns. On failure nothing stays mounted. */
int sandbox_setup(struct sandbox *sandbox, const Grpc__CreateSandboxRequest *request, done_fn *done,
                  void *ctx, struct error *err);

/*
 * Kills every process of every container, and fails what is still being made; then a child process
 * writes back what is dirty and unmounts the storages. @done comes once unless an error is returned;
 * with an error only when the sandbox is destroyed: what could not be done within
 * SANDBOX_TEARDOWN_TIMEOUT_MS is logged. No container is added any more.
 */
int sandbox_teardown(struct sandbox *sandbox, done_fn *done, void *ctx, struct error *err);

/* The containers: as container_list.h has it. */
int sandbox_add(struct sandbox *sandbox, Grpc__CreateContainerRequest *request, done_fn *done,
                void *ctx, struct error *err);
int sandbox_remove(struct sandbox *sandbox, const char *id, done_fn *done, void *ctx,
                   struct error *err);
int sandbox_find(const struct sandbox *sandbox, const char *id, enum error_code unknown,
                 struct container **out, struct error *err);

/* metrics_read() of the guest; the text is to be freed. */
char *sandbox_metrics(struct sandbox *sandbox);

/* Those of its configuration. */
struct ev_loop *sandbox_loop(const struct sandbox *sandbox);
const struct disk_wait_config *sandbox_disks(const struct sandbox *sandbox); /* lives as long */
const struct client *sandbox_client(const struct sandbox *sandbox);
struct network *sandbox_network(const struct sandbox *sandbox);
struct oom *sandbox_oom(const struct sandbox *sandbox); /* owned by the sandbox */

#endif
