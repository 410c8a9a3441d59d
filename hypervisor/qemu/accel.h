/*
 * What runs the guest's instructions: KVM or QEMU's own translator (TCG).
 */
#ifndef HYPERVISOR_QEMU_ACCEL_H
#define HYPERVISOR_QEMU_ACCEL_H

#include <stdbool.h>

#include "hypervisor/hypervisor.h"

struct accel_host {
	bool cpu_virtualizes; /* vmx or svm: without it a guest never gets past its firmware,
	                       * although /dev/kvm may open and create VMs */
	int kvm_errno;        /* why /dev/kvm cannot be used; 0: it can */
};

void accel_probe(struct accel_host *host);

/*
 * *@kvm says which; VM_ACCEL_AUTO takes TCG with a warning line where KVM cannot run a guest;
 * VM_ACCEL_KVM fails there. A pure function but for the line.
 */
int accel_choose(enum vm_accel wanted, const struct accel_host *host, bool *kvm, struct error *err);

#endif
