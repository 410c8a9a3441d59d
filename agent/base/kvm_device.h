/*
 * /dev/kvm of the guest, which takes a processor with the instructions for virtual machines.
 */
#ifndef AGENT_KVM_DEVICE_H
#define AGENT_KVM_DEVICE_H

#include <stdint.h>
#include <sys/types.h>

struct error;

/* ERROR_UNIMPLEMENTED: the device (@type: S_IFCHR and its like) is /dev/kvm, and nobody could open it. */
int kvm_device_check(mode_t type, int64_t major, int64_t minor, struct error *err);

#endif
