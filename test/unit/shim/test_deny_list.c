#include "shim/host/deny_list.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"

static void apply(void)
{
	struct error err;

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0); /* not everybody is root */
	cr_assert_eq(deny_list_apply(&err), 0, "%s", err.text);
}

Test(deny_list, denies_calls_that_reach_the_machine, .init = apply)
{
	static const long calls[] = { SYS_init_module, SYS_finit_module,    SYS_kexec_load,
		                      SYS_bpf,         SYS_reboot,          SYS_swapon,
		                      SYS_keyctl,      SYS_process_vm_readv };

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		errno = 0;
		cr_assert_eq(syscall(calls[i], -1, 0, 0, 0, 0, 0), -1);
		cr_assert_eq(errno, EPERM, "system call %ld: errno %d", calls[i], errno);
	}
}

/* Who can load no program, and make no map, gets nowhere with the two others. */
Test(deny_list, of_bpf_it_allows_what_attaches_a_program_alone, .init = apply)
{
	static const int forbidden[] = {
		BPF_MAP_CREATE,       BPF_PROG_LOAD,   BPF_OBJ_PIN,
		BPF_OBJ_GET,          BPF_PROG_ATTACH, BPF_PROG_GET_FD_BY_ID,
		BPF_MAP_GET_FD_BY_ID, BPF_LINK_UPDATE, 1000
	};
	static const int allowed[] = { BPF_MAP_UPDATE_ELEM, BPF_LINK_CREATE };
	union bpf_attr attr = { .map_fd = ~0U };

	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		errno = 0;
		cr_expect_eq(syscall(SYS_bpf, forbidden[i], &attr, 0), -1);
		cr_expect_eq(errno, EPERM, "command %d: errno %d", forbidden[i], errno);
	}
	if (geteuid()) /* denied anyway */
		return;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		cr_expect_eq(syscall(SYS_bpf, allowed[i], &attr, sizeof(attr)), -1);
		cr_expect_neq(errno, EPERM, "command %d", allowed[i]);
	}
}

Test(deny_list, is_inherited_by_children, .init = apply)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		errno = 0;
		_exit(syscall(SYS_bpf, -1, 0, 0) == -1 && errno == EPERM ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}
