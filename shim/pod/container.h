/*
 * A container: its bundle, its root file system on the host, its init and its execs. Its state is
 * its init's. task/create.c makes it, task/delete.c ends it.
 */
#ifndef SHIM_CONTAINER_H
#define SHIM_CONTAINER_H

#include <ev.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "shim/pod/process.h"

struct bundle;
struct pod;
struct rootfs;

struct container {
	LIST_ENTRY(container) link;
	struct pod *pod;
	char *id;
	char *bundle_dir;      /* as Create named it */
	struct bundle *bundle; /* until the guest has its spec */
	struct rootfs *rootfs;
	Grpc__Process *spec; /* the init's, once it has been created: what an exec inherits from */
	struct process *init;
	bool created;   /* Create has succeeded: until then it is not there for any other call */
	bool is_pause;  /* the pod's pause container: see pod.h */
	int end_status; /* of the init, if the machine ends under it */
	LIST_HEAD(, process) execs;
	unsigned int n_execs;
	ev_timer kill_timer;
	bool kill_answered; /* the guest has sent that SIGKILL */
};

/* In the list of @pod until it is destroyed. */
struct container *container_create(struct pod *pod, const char *id, const char *bundle_dir,
                                   const struct process_stdio *paths);
/* NULL is fine. Nothing is asked of the guest, nothing unmounted. @why: as for process_destroy().
 */
void container_destroy(struct container *container, const struct error *why);

/* The container of @pod with this id; NULL: there is none. */
struct container *container_lookup(const struct pod *pod, const char *id);

/* The pause container of @pod; NULL: none has come yet, it has gone, or the pod is that of a single
 * container. */
struct container *container_pause(const struct pod *pod);

/* The init for an empty id; NULL: there is none. */
struct process *container_process(const struct container *container, const char *exec_id);

/* ERROR_ALREADY_EXISTS: the id is in use. */
int container_check_exec(const struct container *container, const char *exec_id, struct error *err);
/* Takes over @spec; the id has been checked. */
void container_add_exec(struct container *container, const char *exec_id, Grpc__Process *spec,
                        const struct process_stdio *paths);
void container_remove_exec(struct container *container, struct process *exec);

/* For a SIGKILL to its init: if the init has not ended after kill_ms, the VM is ended, unless the
 * guest has done what it was asked (@kill_answered) and other containers are in it. */
void container_start_kill_timer(struct container *container);
/* The VM has ended: every process has, the init last. */
void container_killed(struct container *container);

#endif
