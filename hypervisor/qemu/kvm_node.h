/*
 * A device node for a user without privileges, where the host's is root's alone.
 */
#ifndef HYPERVISOR_QEMU_KVM_NODE_H
#define HYPERVISOR_QEMU_KVM_NODE_H

#include <sys/types.h>

struct error;

/*
 * Makes the character device @path one that @uid may read and write: puts a node of @uid's over it,
 * in this process's mount namespace, with which the node goes. Nothing if @uid may already.
 * Something is mounted below @dir for a moment; NULL: the namespace is not this process's own, and
 * nothing may be mounted in it.
 */
int kvm_node_give(const char *path, const char *dir, uid_t uid, gid_t gid, struct error *err);

#endif
