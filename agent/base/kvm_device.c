#include "agent/base/kvm_device.h"

#include <sys/stat.h>

#include "common/error.h"
#include "common/processor.h"

#define KVM_MAJOR 10
#define KVM_MINOR 232

int kvm_device_check(mode_t type, int64_t major, int64_t minor, struct error *err)
{
	if (type != S_IFCHR || major != KVM_MAJOR || minor != KVM_MINOR ||
	    processor_virtualization() != PROCESSOR_NEITHER)
		return 0;
	return error_set(err, ERROR_UNIMPLEMENTED,
	                 "KVM: not supported; the virtual machine's CPU has neither vmx nor svm");
}
