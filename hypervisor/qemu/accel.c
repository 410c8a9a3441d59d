#include "hypervisor/qemu/accel.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/processor.h"
#include "hypervisor/hint.h"
#include "hypervisor/qemu/kvm_node.h"

#define KVM_DEVICE "/dev/kvm"

int accel_try_kvm(int fd, struct error *why)
{
	autoclose int machine = -1;

	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return error_set(why, ERROR_FAILED_PRECONDITION, KVM_DEVICE " is not KVM's");
	machine = ioctl(fd, KVM_CREATE_VM, 0);
	if (machine < 0)
		return error_errno(why, "cannot make a virtual machine by " KVM_DEVICE);
	return 0;
}

int accel_probe_kvm(const char *dir, uid_t uid, gid_t gid, struct error *why)
{
	autoclose int fd = -1;
	int r;

	if (processor_virtualization() == PROCESSOR_NEITHER)
		return error_set(why, ERROR_FAILED_PRECONDITION, "the CPU has neither vmx nor svm");
	fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_errno(why, "cannot open " KVM_DEVICE);
	r = accel_try_kvm(fd, why);
	if (r < 0)
		return r;
	return uid ? kvm_node_give(KVM_DEVICE, dir, uid, gid, why) : 0;
}

int accel_choose(enum vm_accel wanted, const struct error *obstacle, bool *kvm, struct error *err)
{
	if (wanted == VM_ACCEL_KVM && obstacle) {
		error_set(err, ERROR_FAILED_PRECONDITION, "KVM cannot run a guest here: %s",
		          obstacle->text);
		return hint_add(err, HINT_KVM);
	}
	if (wanted == VM_ACCEL_AUTO && obstacle)
		log_warn("KVM cannot run a guest here, using TCG, which is slower reason=\"%s\"",
		         obstacle->text);
	*kvm = wanted != VM_ACCEL_TCG && !obstacle;
	return 0;
}
