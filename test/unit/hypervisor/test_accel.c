#include "hypervisor/qemu/accel.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <unistd.h>

static const struct error obstacle = {
	.code = ERROR_FAILED_PRECONDITION,
	.text = "the CPU has neither vmx nor svm",
};

static bool chosen(enum vm_accel wanted, const struct error *why_not)
{
	struct error err;
	bool kvm = false;

	cr_assert_eq(accel_choose(wanted, why_not, &kvm, &err), 0);
	return kvm;
}

Test(accel, auto_takes_kvm_only_where_it_can_run_a_guest)
{
	cr_assert(chosen(VM_ACCEL_AUTO, NULL));
	cr_assert_not(chosen(VM_ACCEL_AUTO, &obstacle));
}

Test(accel, tcg_is_taken_when_asked_for)
{
	cr_assert_not(chosen(VM_ACCEL_TCG, NULL));
	cr_assert_not(chosen(VM_ACCEL_TCG, &obstacle));
}

Test(accel, kvm_is_refused_where_it_cannot_run_a_guest)
{
	struct error err;
	bool kvm = false;

	cr_assert(chosen(VM_ACCEL_KVM, NULL));
	cr_assert_eq(accel_choose(VM_ACCEL_KVM, &obstacle, &kvm, &err), -EBUSY);
	cr_assert(strstr(err.text, "KVM cannot run a guest here: the CPU has neither vmx nor svm"));
	cr_assert(strstr(err.text, "hint: with hypervisor.qemu.accel"));
}

Test(accel, probe_gives_a_reason_when_kvm_cannot_be_used)
{
	struct error why = { 0 };

	if (accel_probe_kvm("/tmp", 0, 0, &why) < 0)
		cr_assert_neq(why.text[0], '\0');
	else
		cr_assert_eq(why.code, ERROR_NONE);
}

/* The KVM of accel_try_kvm(), which this program is linked with. */
static struct {
	int version;
	int cause; /* why it makes no machine; 0: it does */
} kvm;

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	if (request == KVM_GET_API_VERSION)
		return kvm.version;
	cr_assert_eq(request, KVM_CREATE_VM);
	errno = kvm.cause;
	return kvm.cause ? -1 : dup(STDIN_FILENO);
}

Test(accel, kvm_is_used_only_if_it_makes_a_machine)
{
	struct error why;

	kvm.version = KVM_API_VERSION;
	cr_assert_eq(accel_try_kvm(STDIN_FILENO, &why), 0);
	kvm.cause = EBUSY; /* as when another hypervisor has the CPU */
	cr_assert_eq(accel_try_kvm(STDIN_FILENO, &why), -EBUSY);
	cr_assert_str_eq(why.text,
	                 "cannot make a virtual machine by /dev/kvm: Device or resource busy");
	kvm.version = 11;
	cr_assert_lt(accel_try_kvm(STDIN_FILENO, &why), 0);
	cr_assert_str_eq(why.text, "/dev/kvm is not KVM's");
}
