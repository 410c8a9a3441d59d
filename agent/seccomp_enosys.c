#include "agent/seccomp_enosys.h"

#include <ctype.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>

#define X32_BIT   0x40000000U /* of a number on x86_64: another table of system calls */
#define BLOCK_MAX 6           /* instructions for an architecture */

uint32_t seccomp_architecture(const char *name)
{
	static const char prefix[] = "SCMP_ARCH_";
	char lower[32] = "";
	size_t i;

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return 0;
	name += strlen(prefix);
	for (i = 0; name[i]; i++) {
		if (i == sizeof(lower) - 1)
			return 0;
		lower[i] = (char)tolower((unsigned char)name[i]);
	}
	return seccomp_arch_resolve_name(lower);
}

/* The highest number that the profile has a rule for; negative when there is none. */
static int highest(const Grpc__LinuxSeccomp *profile, uint32_t architecture)
{
	int max = -1;
	size_t i;
	size_t j;

	for (i = 0; i < profile->n_syscalls; i++) {
		for (j = 0; j < profile->syscalls[i]->n_names; j++) {
			int nr = seccomp_syscall_resolve_name_arch(architecture,
			                                           profile->syscalls[i]->names[j]);

			max = nr > max ? nr : max;
		}
	}
	return max;
}

/* A program that lets all through, a tracer that knows better: neither needs help. */
static bool is_permissive(const char *action)
{
	return !strcmp(action, "SCMP_ACT_ALLOW") || !strcmp(action, "SCMP_ACT_LOG") ||
	       !strcmp(action, "SCMP_ACT_TRACE");
}

/*
 * The architecture is in the accumulator. Another one skips the block and leaves it there; this one
 * is decided in here: ENOSYS, or a jump behind the block that the caller makes lead to the profile.
 */
static size_t write_block(struct sock_filter *out, uint32_t architecture, uint32_t max)
{
	bool x86_64 = architecture == AUDIT_ARCH_X86_64;
	const struct sock_filter block[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 0, x86_64 ? 5 : 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, max, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_JMP | BPF_JA, 0),
	};
	size_t n = 0;
	size_t i;

	for (i = 0; i < BLOCK_MAX; i++)
		if (x86_64 || i != 2)
			out[n++] = block[i];
	return n;
}

size_t seccomp_enosys(const Grpc__LinuxSeccomp *profile, struct sock_filter out[SECCOMP_ENOSYS_MAX])
{
	size_t n = 0;
	size_t i;

	if (is_permissive(profile->defaultaction))
		return 0;
	out[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	                                        offsetof(struct seccomp_data, arch));
	for (i = 0; i < profile->n_architectures && n + BLOCK_MAX <= SECCOMP_ENOSYS_MAX; i++) {
		uint32_t architecture = seccomp_architecture(profile->architectures[i]);
		int max = highest(profile, architecture);

		/* x32 has x86_64's number and is told from it by X32_BIT: left to the profile. */
		if (max >= 0 && architecture != SCMP_ARCH_X32)
			n += write_block(out + n, architecture, max);
	}
	for (i = 0; i < n; i++)
		if (out[i].code == (BPF_JMP | BPF_JA))
			out[i].k = n - i - 1;
	return n > 1 ? n : 0;
}
