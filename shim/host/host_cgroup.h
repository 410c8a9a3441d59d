/*
 * The pod's cgroup on the host. It is made where the client wants the cgroup of what the pod begins
 * with (cgroup_path.h), in each hierarchy that is mounted (cgroup_mounts.h).
 *
 * Either all are in it: the machine, its helpers, the placeholders and the shim. Or the machine's
 * vCPUs alone are, which v1 can tell apart; with v2 it is the VMM's process. The others are in
 * "/kata_overhead/<id>" then (upstream's host-cgroups.md).
 *
 * In the form of systemd it is a scope, which systemd makes where it runs (systemd_scope.h). As that ends
 * when nobody is in it, all are in it then.
 *
 * The shim, of one thread, moves itself there before it has a child: all others are born in it. What
 * was made is written down in the pod's directory before it is there, so that whoever removes that
 * directory removes it, too.
 */
#ifndef SHIM_HOST_CGROUP_H
#define SHIM_HOST_CGROUP_H

#include <stdbool.h>

#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"

struct cgroup_mounts;
struct ev_loop;
struct host_cgroup;

struct host_cgroup_config {
	const char *path;    /* linux.cgroupsPath; "": none, all stay where the shim is */
	const char *pod_dir; /* /run/kata/<pod> */
	const char *id;      /* of the pod */
	bool sandbox_only;   /* all are in the one cgroup */
};

struct host_cgroup *host_cgroup_create(const struct host_cgroup_config *config);
/* NULL is fine. The cgroup itself stays. */
void host_cgroup_destroy(struct host_cgroup *cgroup);

/*
 * Makes it and moves this process there; @done is called once, at once or, where systemd makes it, from
 * the loop. With an error this process is in those hierarchies that could be written.
 */
void host_cgroup_enter(struct host_cgroup *cgroup, struct ev_loop *loop, done_fn *done, void *ctx);
/* @done is not called any more. */
void host_cgroup_cancel(struct host_cgroup *cgroup);
/* The same at once, in the hierarchies @mounts, which it takes over. */
int host_cgroup_enter_mounts(struct host_cgroup *cgroup, struct cgroup_mounts *mounts,
                             struct error *err);

/* Moves what of the VMM @pid belongs into the pod's cgroup and is not there: new vCPUs, too. */
int host_cgroup_add_vmm(const struct host_cgroup *cgroup, pid_t pid, struct error *err);

/* Its directory in the hierarchy of @controller, to be free()d; NULL: there is none. *@is_v2 is false
 * then. NULL is fine for @cgroup. */
char *host_cgroup_dir(const struct host_cgroup *cgroup, const char *controller, bool *is_v2);

/* The same of the cgroup that the VMM's memory counts in. */
char *host_cgroup_memory_dir(const struct host_cgroup *cgroup, bool *is_v2);

/* Removes what host_cgroup_enter() has made, this process or another, by what is written in @pod_dir.
 * This process goes back to where it was, if it is in there. Blocks while others end, two seconds at
 * most. */
int host_cgroup_remove(const char *pod_dir, struct error *err);

CLEANUP_DESTROY(host_cgroup)

#endif
