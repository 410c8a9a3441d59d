/*
 * What runs the guest's instructions: KVM or QEMU's own translator (TCG).
 */
#ifndef HYPERVISOR_QEMU_ACCEL_H
#define HYPERVISOR_QEMU_ACCEL_H

#include <stdbool.h>

#include "common/error.h"
#include "hypervisor/vm_config.h"

/* 0 if @fd is KVM's device and makes a virtual machine; another hypervisor may have the CPU. */
int accel_try_kvm(int fd, struct error *why);

/*
 * 0 if KVM can run a guest here, for QEMU under @uid; else @why says what is in the way. A device
 * that opens and creates VMs is not enough: without vmx or svm a guest never gets past its
 * firmware. Where /dev/kvm is root's alone it is given to @uid by way of @dir (see kvm_node.h).
 */
int accel_probe_kvm(const char *dir, uid_t uid, gid_t gid, struct error *why);

/*
 * *@kvm says which. @obstacle: why KVM cannot run a guest (NULL: it can). VM_ACCEL_AUTO takes TCG
 * then, with a warning line; VM_ACCEL_KVM fails. A pure function but for the line.
 */
int accel_choose(enum vm_accel wanted, const struct error *obstacle, bool *kvm, struct error *err);

#endif
