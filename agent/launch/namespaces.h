/*
 * The namespaces of a container (linux.namespaces): made anew, or joined by a path of the guest.
 * User and time namespaces are refused; the network namespace without a path is the VM's own.
 */
#ifndef AGENT_NAMESPACES_H
#define AGENT_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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

/* The path of the pid namespace to join, or NULL. */
const char *namespaces_pid_path(const Grpc__Spec *spec);

/*
 * The pid namespace of the process that @pidfd is, whose pid in the caller's @pid is. Returns a
 * descriptor. ERROR_FAILED_PRECONDITION: it has ended.
 */
int namespaces_open_pid(pid_t pid, int pidfd, struct error *err);

/* ERROR_PERMISSION_DENIED: @pid_namespace is the caller's own. */
int namespaces_check_pid(int pid_namespace, struct error *err);

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

/* The pid namespace alone, in the same way. */
int namespaces_join_pid(int pid_namespace, struct error *err);

/*
 * Goes on as a child in that pid namespace, whose parent is the calling process's: for who called,
 * it does not return. With a filter it takes clone and exit_group. @what has ended when the
 * namespace's init is gone: ERROR_FAILED_PRECONDITION.
 */
int namespaces_enter_pid(const char *what, struct error *err);

#endif
