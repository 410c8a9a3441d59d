/*
 * What is in a container's cgroup and below: a container that may write to its cgroup makes others
 * there and moves processes into them.
 */
#ifndef AGENT_CGROUP_TREE_H
#define AGENT_CGROUP_TREE_H

struct error;

#define CGROUP_TREE_DEPTH_MAX 32 /* of cgroups below a container's */
#define CGROUP_TREE_MAX       4096 /* cgroups below a container's: a node of Kubernetes has some 1000 */
#define CGROUP_TREE_SLICE     64 /* cgroups that one cgroup_tree_remove() removes */

/* Bounds what the container can make below its cgroup @fd. */
int cgroup_tree_limit(int fd, struct error *err);

/*
 * Removes the cgroup @name below @at with all below it. -EAGAIN: CGROUP_TREE_SLICE have gone and
 * there are more. -EBUSY: a process is in one of them. -ENOENT: it is gone.
 */
int cgroup_tree_remove(int at, const char *name, struct error *err);

/*
 * Sends @sig once to each process in the cgroup @fd and below. One that is not frozen may be in
 * fork(2), and its child be missed. ERROR_NOT_FOUND: there is no process.
 */
int cgroup_tree_signal(int fd, int sig, struct error *err);

#endif
