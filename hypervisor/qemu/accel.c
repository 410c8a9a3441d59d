#include "hypervisor/qemu/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "hypervisor/qemu/host_cpu.h"

static int probe_kvm(void)
{
	autoclose int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno;
	return ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION ? 0 : ENOTTY;
}

void accel_probe(struct accel_host *host)
{
	host->cpu_virtualizes = host_cpu_virtualizes();
	host->kvm_errno = host->cpu_virtualizes ? probe_kvm() : ENODEV;
}

int accel_choose(enum vm_accel wanted, const struct accel_host *host, bool *kvm, struct error *err)
{
	bool usable = host->cpu_virtualizes && !host->kvm_errno;
	char why[200];

	if (!host->cpu_virtualizes)
		snprintf(why, sizeof(why), "the CPU has neither vmx nor svm");
	else
		snprintf(why, sizeof(why), "open /dev/kvm: %s", strerror(host->kvm_errno));
	if (wanted == VM_ACCEL_KVM && !usable)
		return error_set(err, ERROR_FAILED_PRECONDITION, "KVM cannot run a guest here: %s",
		                 why);
	if (wanted == VM_ACCEL_AUTO && !usable)
		log_warn("KVM cannot run a guest here, using TCG, which is slower reason=\"%s\"",
		         why);
	*kvm = wanted != VM_ACCEL_TCG && usable;
	return 0;
}
