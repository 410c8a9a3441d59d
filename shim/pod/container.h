/*
 * A container: its bundle, its root file system on the host, its init and its execs. Its state is
 * its init's. task/create.c makes it, task/delete.c ends it.
 */
#ifndef SHIM_CONTAINER_H
#define SHIM_CONTAINER_H

#include <ev.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "shim/host/placeholder.h"
#include "shim/pod/process.h"
#include "shim/spec/vm_size.h"

struct bundle;
struct disk_set;
struct hooks;
struct pod;
struct rootfs;

/* New limits, which an update wants. Until it has ended there is room for those, and for the old. */
struct limits_claim {
	LIST_ENTRY(limits_claim) link;
	struct vm_limits limits;
};

struct container {
	LIST_ENTRY(container) link;
	struct pod *pod;
	char *id;
	char *bundle_dir;      /* as Create named it */
	struct bundle *bundle; /* until the guest has its spec */
	struct rootfs *rootfs;
	struct disk_set *disks; /* NULL: none */
	struct hooks *hooks;    /* NULL: it has none */
	char *resolv_conf;      /* the file of the host that it sees; NULL: none */
	Grpc__Process *spec; /* the init's, once it has been created: what an exec inherits from */
	struct process *init;
	bool created; /* Create has succeeded: until then it is not there for any other call */
	struct vm_limits limits; /* those in force */
	LIST_HEAD(, limits_claim) claims;
	cpu_set_t cpus; /* of the host, which its spec names; empty: all */
	bool is_pause;  /* the pod's pause container: see pod.h */
	int end_status; /* of the init, if the machine ends under it */
	LIST_HEAD(, process) execs;
	unsigned int n_execs;
	ev_timer kill_timer;
	bool kill_answered;                       /* the guest has sent that SIGKILL */
	bool kill_overdue;                        /* it has not ended after kill_ms */
	placeholder_ended_fn *placeholders_ended; /* NULL: nobody waits for that */
	void *placeholders_ctx;
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

/* The limits in force become @to, and the host's CPUs @cpus: of both, what is not said stays. */
void container_set_limits(struct container *container, const struct vm_limits *to,
                          const cpu_set_t *cpus);
/* The host's CPUs that its containers name together; empty: none does. */
cpu_set_t container_cpus(const struct pod *pod);
/* Of all containers of @pod together. */
struct vm_demand container_demands(const struct pod *pod);
/* What the machine is to be for all containers of the pod (a struct pod) together. */
struct vm_size container_wanted_size(const void *pod);

/* The init for an empty id; NULL: there is none. */
struct process *container_process(const struct container *container, const char *exec_id);

/* ERROR_ALREADY_EXISTS: the id is in use. */
int container_check_exec(const struct container *container, const char *exec_id, struct error *err);
/* Takes over @spec; the id has been checked. */
void container_add_exec(struct container *container, const char *exec_id, Grpc__Process *spec,
                        const struct process_stdio *paths);
/* Its last act may be the end of a Delete of @container, which destroys that. */
void container_remove_exec(struct container *container, struct process *exec);

/*
 * Starts the placeholder of @process (placeholder.h), which has none: under the container's root
 * file system, which is mounted, in the pod's network namespace. The sandbox has a uid. If it is
 * killed by another, the process is, in the guest; while the process is still being made,
 * placeholder_await() tells.
 */
int container_start_placeholder(struct process *process, struct error *err);
/* Ends those of all its processes and calls @done once, at once or from the loop, when they have
 * gone: none keeps the root file system or the network namespace any more. */
void container_end_placeholders(struct container *container, placeholder_ended_fn *done, void *ctx);
/* Writes the pid of its init, which has one, into its bundle (pid_file.h); a failure is logged. */
void container_write_pid_file(const struct container *container);
/* The container of @pod of whose init or exec this is the pid; NULL: there is none. */
struct container *container_of_pid(const struct pod *pod, pid_t pid);

/* For a SIGKILL to its init: if the init has not ended after kill_ms, the VM is ended, unless the
 * guest has done what it was asked (@kill_answered) and a container is in it that has neither ended
 * nor outlived a SIGKILL as well. */
void container_start_kill_timer(struct container *container);
/* The VM has ended: every process has, the init last. */
void container_killed(struct container *container);

#endif
