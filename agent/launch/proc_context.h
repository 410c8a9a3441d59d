/*
 * A new proc file system of another pid namespace, for a container that joins that.
 *
 * proc shows the pid namespace of the process that calls fsopen(2), and takes CAP_SYS_ADMIN; but a
 * container in the namespace with CAP_SYS_PTRACE can take over every process that it sees there. So
 * a short-lived process of ours calls it that has nothing else worth taking: an empty root
 * directory, no descriptor but a socket, no capability but that, and a filter that allows fsopen,
 * to send what came of it, and to end. It gets all of this outside of the namespace.
 */
#ifndef AGENT_PROC_CONTEXT_H
#define AGENT_PROC_CONTEXT_H

struct error;

#define PROC_CONTEXT_TIMEOUT_MS 5000

/*
 * Its context, as fsopen(2) returns it: for mount_tree_make(). Whoever is in the namespace may have
 * put another in its place: what is made of it has to be looked at.
 */
int proc_context_open(int pid_namespace, struct error *err);

#endif
