/*
 * A container: its cgroup, its init and its execs.
 *
 * CREATING   cgroup and init are being made, as its functions say; nothing else is legal
 * CREATED    the init waits before its execve: start, signals, execs, updates, removal
 * RUNNING    the init runs, or is on its way to its execve: as before, and pause and resume
 * STOPPED    the init has been reaped: wait, removal
 * REMOVING   all is killed, the cgroup goes away
 * Paused is a property of CREATED and RUNNING: execs are refused meanwhile.
 */
#ifndef AGENT_CONTAINER_H
#define AGENT_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "proto/oci.pb-c.h"

struct cgroup;
struct client;
struct container;
struct device_program;
struct ev_loop;
struct host_limits;
struct oom;
struct process;
struct streams;
struct ttrpc_call;

#define CONTAINER_ID_MAX            255 /* NAME_MAX: it names a directory */
#define CONTAINER_REMOVE_TIMEOUT_MS 10000
#define CONTAINER_UPDATE_TIMEOUT_MS 20000 /* the host waits for 30 s */

struct container_config {
	const char *id;
	const char *cgroup_mount; /* outlives the container, as all pointers below do but spec */
	const struct client *client;
	struct oom *oom;                  /* notified of out-of-memory kills in the container */
	struct device_program *devices;   /* the pod's last */
	Grpc__Spec *spec;                 /* taken over, also on failure */
	const struct host_limits *limits; /* NULL: none */
	bool is_alone;                    /* there is no other yet (bound_files.h) */
	uint32_t ports[3];
};

/* Names come from outside and become file names. */
int container_check_id(const char *id, struct error *err);

/* One that is CREATING: it has neither a cgroup nor an init yet. */
int container_create(struct ev_loop *loop, struct streams *streams,
                     const struct container_config *config, struct container **out,
                     struct error *err);

/* Before its launch: it joins that pid namespace, whatever its spec says. The descriptor is taken
 * over. */
void container_join_pid_namespace(struct container *container, int pid_namespace);

/* The pid namespace of its init; the caller's to close. ERROR_FAILED_PRECONDITION: it has ended. */
int container_open_pid_namespace(const struct container *container, int *out, struct error *err);

/* The two steps to CREATED. From the first on the container is to be removed. */
int container_make_cgroup(struct container *container, struct error *err);

/* @created comes once unless an error is returned. */
int container_launch(struct container *container, done_fn *created, void *ctx, struct error *err);
void container_cancel_launch(struct container *container); /* kills the init; drops @created */

const Grpc__Spec *container_spec(const struct container *container);
const char *container_id(const struct container *container);
struct cgroup *container_cgroup(const struct container *container);

int container_start(struct container *container, struct ttrpc_call *call, struct error *err);

/* Makes and starts a process beside the init, and answers @call. @exec_id is free again when a wait
 * for it has been answered. */
int container_exec(struct container *container, const char *exec_id, const Grpc__Process *process,
                   const uint32_t ports[3], struct ttrpc_call *call, struct error *err);

/* @exec_id: "" is the init, and so is the container's id unless an exec has it. ERROR_NOT_FOUND. */
int container_find(const struct container *container, const char *exec_id, struct process **out,
                   struct error *err);

/* As process_wait(); an exec is forgotten when it is answered. */
int container_wait(struct container *container, const char *exec_id, struct ttrpc_call *call,
                   bool with_oom, struct error *err);

/* Of stdout, 1, or stderr, 2. As process_read(); an exec that has been waited for is forgotten when
 * it has been read to the end. */
int container_read(struct container *container, const char *exec_id, int which, uint32_t len,
                   struct ttrpc_call *call, struct error *err);

/* Answers @call (SignalProcess) when the signal has been sent to every process of the container,
 * unless an error is returned. ERROR_NOT_FOUND: it has ended. */
int container_signal_all(struct container *container, int sig, struct ttrpc_call *call,
                         struct error *err);
int container_kill(struct container *container, struct error *err); /* SIGKILL to all, at once */
int container_pause(struct container *container, struct ttrpc_call *call, struct error *err);
int container_resume(struct container *container, struct error *err);

/* As limiter_change(), within CONTAINER_UPDATE_TIMEOUT_MS. A removal cancels it: ERROR_ABORTED. */
int container_update(struct container *container, const Grpc__LinuxResources *resources,
                     done_fn *done, void *ctx, struct error *err);

/*
 * Kills what lives, waits for it and takes the cgroup away. @done comes once, also before this
 * returns when there is nothing to wait for, and may destroy the container.
 * ERROR_DEADLINE_EXCEEDED after CONTAINER_REMOVE_TIMEOUT_MS: it can be removed again.
 */
int container_remove(struct container *container, done_fn *done, void *ctx, struct error *err);

/* NULL is fine. Calls that wait for a process are failed, callbacks are dropped. */
void container_destroy(struct container *container);
CLEANUP_DESTROY(container)

#endif
