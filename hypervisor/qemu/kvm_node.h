/*
 * A device node for a user without privileges, where the host's is root's alone.
 */
#ifndef HYPERVISOR_QEMU_KVM_NODE_H
#define HYPERVISOR_QEMU_KVM_NODE_H

#include <sys/types.h>

struct error;

/*
 * Makes the character device @path one that @uid may read and write: puts a node of @uid's over it,
 * in this process's mount namespace, which must be its own. Nothing if @uid may already. Something
 * is mounted below @dir for a moment. The node is inherited and goes with the namespace.
 */
int kvm_node_give(const char *path, const char *dir, uid_t uid, gid_t gid, struct error *err);

#endif
