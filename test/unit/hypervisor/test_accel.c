#include "hypervisor/qemu/accel.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

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
