#include "shim/host/deny_list.h"

#include <errno.h>
#include <linux/bpf.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* A 32-bit program would find the same calls under other numbers. */
#if defined(__x86_64__)
#define OTHER_ARCHITECTURES SCMP_ARCH_X86, SCMP_ARCH_X32
#elif defined(__aarch64__)
#define OTHER_ARCHITECTURES SCMP_ARCH_ARM
#else
#define OTHER_ARCHITECTURES SCMP_ARCH_NATIVE
#endif

static const int denied[] = {
	/* code in the kernel; and bpf(2): deny_bpf() */
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
/* other processes */
#ifndef __SANITIZE_ADDRESS__ /* LeakSanitizer stops its process by ptrace(2) */
	SCMP_SYS(ptrace),
#endif
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise),
	SCMP_SYS(kcmp),
	SCMP_SYS(perf_event_open),
	/* the machine */
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(acct),
	SCMP_SYS(quotactl),
	SCMP_SYS(quotactl_fd),
	SCMP_SYS(settimeofday),
	SCMP_SYS(stime),
	SCMP_SYS(clock_settime),
	SCMP_SYS(clock_settime64),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(clock_adjtime64),
	SCMP_SYS(adjtimex),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(syslog),
	SCMP_SYS(lookup_dcookie),
	/* the kernel's key rings, which no namespace divides */
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	/* page faults handled by the one who attacks */
	SCMP_SYS(userfaultfd),
};

static int add_architectures(scmp_filter_ctx filter)
{
	static const uint32_t others[] = { OTHER_ARCHITECTURES };
	int r = 0;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && (r == 0 || r == -EEXIST); i++)
		r = seccomp_arch_add(filter, others[i]);
	return r == -EEXIST ? 0 : r;
}

/* With these alone nobody can load a program: who has one may use it (shim/network/loopback.h). */
static bool is_bpf_allowed(unsigned int command)
{
	return command == BPF_MAP_UPDATE_ELEM || command == BPF_LINK_CREATE;
}

static int deny_bpf(scmp_filter_ctx filter)
{
	int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 1,
	                         SCMP_A0(SCMP_CMP_GT, BPF_LINK_CREATE, 0));

	for (unsigned int command = 0; command <= BPF_LINK_CREATE && r == 0; command++)
		if (!is_bpf_allowed(command))
			r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 1,
			                     SCMP_A0(SCMP_CMP_EQ, command, 0));
	return r;
}

static int fill(scmp_filter_ctx filter)
{
	int r = add_architectures(filter);

	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
	if (r == 0)
		r = deny_bpf(filter);
	return r;
}

int deny_list_apply(struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r = filter ? 0 : -ENOMEM;

	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0); /* hooks may be setuid */
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* by binary search */
	if (r == 0)
		r = fill(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	if (r == 0)
		return 0;
	errno = -r;
	return error_errno(err, "cannot apply the system call filter");
}
