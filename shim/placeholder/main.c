/*
 * kata-placeholder: a process of the host that stands for a container or an exec, whose own
 * processes are in a virtual machine (shim/host/placeholder.h). It sleeps until it is killed.
 *
 * What it may do was settled before it was executed: uid, capabilities, no_new_privs, network
 * namespace, root directory, parent-death signal. Here goes the rest. There is one for each
 * container and exec, so each page that it writes to counts: it uses no heap and no library.
 *
 * argv[0] is what ps(1) shows; up to a colon it becomes the name.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE AUDIT_ARCH_X86_64
#endif

#define NAME_SIZE 16 /* prctl(2), PR_SET_NAME */

/* clang-format off */
static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ppoll, 0, 1), /* the sleep; all else kills */
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};
/* clang-format on */

static void take_name(const char *title)
{
	size_t len = strcspn(title, ":");
	char name[NAME_SIZE] = "";

	memcpy(name, title, len < NAME_SIZE ? len : NAME_SIZE - 1);
	prctl(PR_SET_NAME, name);
}

static int isolate(void)
{
	const struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = (struct sock_filter *)filter,
	};
	const struct rlimit no_core = { 0 };

	if (setrlimit(RLIMIT_CORE, &no_core) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    close_range(0, ~0U, 0) < 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int main(int argc, char **argv)
{
	if (argc > 0)
		take_name(argv[0]);
	if (isolate() < 0)
		return 1;
	for (;;)
		ppoll(NULL, 0, NULL, NULL); /* a signal without effect does not end it */
}
