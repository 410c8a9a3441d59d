#include "hypervisor/qemu/accel.h"

#include <criterion/criterion.h>
#include <errno.h>

static const struct accel_host good = { .cpu_virtualizes = true };
static const struct accel_host no_cpu_flag = { .cpu_virtualizes = false };
static const struct accel_host no_device = { .cpu_virtualizes = true, .kvm_errno = ENOENT };

static bool chosen(enum vm_accel wanted, const struct accel_host *host)
{
	struct error err;
	bool kvm = false;

	cr_assert_eq(accel_choose(wanted, host, &kvm, &err), 0);
	return kvm;
}

Test(accel, auto_takes_kvm_only_where_it_can_run_a_guest)
{
	cr_assert(chosen(VM_ACCEL_AUTO, &good));
	cr_assert_not(chosen(VM_ACCEL_AUTO, &no_cpu_flag));
	cr_assert_not(chosen(VM_ACCEL_AUTO, &no_device));
}

Test(accel, tcg_is_taken_when_asked_for)
{
	cr_assert_not(chosen(VM_ACCEL_TCG, &good));
	cr_assert_not(chosen(VM_ACCEL_TCG, &no_device));
}

Test(accel, kvm_is_refused_where_it_cannot_run_a_guest)
{
	struct error err;
	bool kvm = false;

	cr_assert(chosen(VM_ACCEL_KVM, &good));
	cr_assert_lt(accel_choose(VM_ACCEL_KVM, &no_cpu_flag, &kvm, &err), 0);
	cr_assert_str_eq(err.text, "KVM cannot run a guest here: the CPU has neither vmx nor svm");
	cr_assert_lt(accel_choose(VM_ACCEL_KVM, &no_device, &kvm, &err), 0);
	cr_assert_str_eq(err.text, "KVM cannot run a guest here: open /dev/kvm: No such file or "
	                           "directory");
	cr_assert_eq(err.code, ERROR_FAILED_PRECONDITION);
}

Test(accel, probe_says_the_same_twice)
{
	struct accel_host first, second;

	accel_probe(&first);
	accel_probe(&second);
	cr_assert_eq(first.cpu_virtualizes, second.cpu_virtualizes);
	cr_assert_eq(first.kvm_errno, second.kvm_errno);
}
