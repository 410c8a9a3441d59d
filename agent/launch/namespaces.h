/*
 * The namespaces of a container (linux.namespaces): made anew, or joined by a path of the guest.
 * User and time namespaces are refused; the network namespace without a path is the VM's own.
 */
#ifndef AGENT_NAMESPACES_H
#define AGENT_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/oci.pb-c.h"

struct error;

enum namespace_kind {
	NAMESPACE_PID,
	NAMESPACE_MOUNT,
	NAMESPACE_IPC,
	NAMESPACE_UTS,
	NAMESPACE_CGROUP,
	NAMESPACE_NETWORK,
	NAMESPACE_COUNT,
};

int namespaces_check(const Grpc__Spec *spec, struct error *err);
bool namespaces_has(const Grpc__Spec *spec, enum namespace_kind kind);

/* The path of the pid namespace to join, or NULL: it is entered by the parent of the process. */
const char *namespaces_pid_path(const Grpc__Spec *spec);

/*
 * CLONE_NEW* of those that clone3(2) makes. The cgroup namespace is not among them: its root is the
 * cgroup of who makes it, so the child unshares it itself.
 */
uint64_t namespaces_clone_flags(const Grpc__Spec *spec);

/* The rest, in the child: joins by path, unshares the cgroup namespace. */
int namespaces_enter(const Grpc__Spec *spec, struct error *err);

/*
 * All of a process, by its pidfd. Its pid namespace is that of children only: the calling process
 * cannot be seen in it.
 */
int namespaces_join(int pidfd, struct error *err);

/*
 * Goes on as a child in that pid namespace, whose parent is the calling process's: for who called,
 * it does not return. With a filter it takes clone and exit_group.
 */
int namespaces_enter_pid(struct error *err);

#endif
