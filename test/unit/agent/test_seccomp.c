#include "agent/launch/seccomp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"

#define ROWS_MAX 8

/* A profile under construction, all of it on the stack. */
struct draft {
	Grpc__LinuxSeccomp profile;
	Grpc__LinuxSyscall rows[ROWS_MAX];
	Grpc__LinuxSyscall *pointers[ROWS_MAX];
	char *names[ROWS_MAX];
	Grpc__LinuxSeccompArg args[ROWS_MAX];
	Grpc__LinuxSeccompArg *arg_pointers[ROWS_MAX];
	size_t n_args;
};

static void draft_init(struct draft *draft, char *action)
{
	memset(draft, 0, sizeof(*draft));
	grpc__linux_seccomp__init(&draft->profile);
	draft->profile.defaultaction = action;
	draft->profile.syscalls = draft->pointers;
}

static Grpc__LinuxSyscall *draft_rule(struct draft *draft, char *name, char *action)
{
	size_t n = draft->profile.n_syscalls++;
	Grpc__LinuxSyscall *row = &draft->rows[n];

	cr_assert_lt(n, ROWS_MAX);
	grpc__linux_syscall__init(row);
	draft->names[n] = name;
	row->names = &draft->names[n];
	row->n_names = 1;
	row->action = action;
	draft->pointers[n] = row;
	return row;
}

/* To the rule that was made last. */
static void draft_arg(struct draft *draft, uint64_t index, char *op, uint64_t value, uint64_t two)
{
	Grpc__LinuxSyscall *row = &draft->rows[draft->profile.n_syscalls - 1];
	Grpc__LinuxSeccompArg *arg = &draft->args[draft->n_args];

	cr_assert_lt(draft->n_args, ROWS_MAX);
	grpc__linux_seccomp_arg__init(arg);
	arg->index = index;
	arg->op = op;
	arg->value = value;
	arg->valuetwo = two;
	draft->arg_pointers[draft->n_args] = arg;
	if (!row->n_args++)
		row->args = &draft->arg_pointers[draft->n_args];
	draft->n_args++;
}

static struct seccomp *compile(const struct draft *draft)
{
	struct seccomp *seccomp = NULL;
	struct error err = { 0 };

	cr_assert_eq(seccomp_compile(&draft->profile, &seccomp, &err), 0, "%s", err.text);
	return seccomp;
}

static uint32_t verdict(const struct draft *draft, int nr, uint64_t arg0, uint64_t arg1)
{
	const struct seccomp_data data = { .nr = nr,
		                           .arch = AUDIT_ARCH_X86_64,
		                           .args = { arg0, arg1 } };
	autodestroy(seccomp) struct seccomp *seccomp = compile(draft);

	return seccomp_evaluate(seccomp, &data);
}

static void expect_refusal(const struct draft *draft, enum error_code code, const char *text)
{
	struct seccomp *seccomp = NULL;
	struct error err = { 0 };

	cr_expect_lt(seccomp_compile(&draft->profile, &seccomp, &err), 0);
	cr_expect_eq(err.code, code);
	cr_expect_str_eq(err.text, text);
	cr_expect_null(seccomp);
}

Test(seccomp, every_action_is_what_it_says)
{
	static const struct {
		char *name;
		uint32_t verdict;
	} rows[] = {
		{ "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD },
		{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD },
		{ "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS },
		{ "SCMP_ACT_TRAP", SECCOMP_RET_TRAP },
		{ "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO | EPERM },
		{ "SCMP_ACT_TRACE", SECCOMP_RET_TRACE | EPERM },
		{ "SCMP_ACT_LOG", SECCOMP_RET_LOG },
	};
	struct draft draft;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		draft_init(&draft, "SCMP_ACT_ALLOW");
		draft_rule(&draft, "mkdir", rows[i].name);
		cr_expect_eq(verdict(&draft, SYS_mkdir, 0, 0), rows[i].verdict, "%s", rows[i].name);
		cr_expect_eq(verdict(&draft, SYS_rmdir, 0, 0), SECCOMP_RET_ALLOW);
	}
}

Test(seccomp, default_action_is_for_the_rest)
{
	struct draft draft;

	draft_init(&draft, "SCMP_ACT_ERRNO");
	draft_rule(&draft, "mkdir", "SCMP_ACT_ALLOW");
	cr_expect_eq(verdict(&draft, SYS_mkdir, 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(verdict(&draft, SYS_rmdir, 0, 0), SECCOMP_RET_ERRNO | EPERM);
}

Test(seccomp, errno_can_be_chosen)
{
	struct draft draft;
	Grpc__LinuxSyscall *row;

	draft_init(&draft, "SCMP_ACT_ALLOW");
	row = draft_rule(&draft, "mkdir", "SCMP_ACT_ERRNO");
	row->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	row->errnoret = ENOSPC;
	cr_expect_eq(verdict(&draft, SYS_mkdir, 0, 0), SECCOMP_RET_ERRNO | ENOSPC);
	row->errnoret = 0; /* not the same as none */
	cr_expect_eq(verdict(&draft, SYS_mkdir, 0, 0), SECCOMP_RET_ERRNO | 0);
}

Test(seccomp, every_operator_compares)
{
	static const struct {
		char *op;
		uint64_t value;
		uint64_t two;
		bool at_4, at_5, at_6;
	} rows[] = {
		{ "SCMP_CMP_NE", 5, 0, true, false, true },
		{ "SCMP_CMP_LT", 5, 0, true, false, false },
		{ "SCMP_CMP_LE", 5, 0, true, true, false },
		{ "SCMP_CMP_EQ", 5, 0, false, true, false },
		{ "SCMP_CMP_GE", 5, 0, false, true, true },
		{ "SCMP_CMP_GT", 5, 0, false, false, true },
		{ "SCMP_CMP_MASKED_EQ", 3, 1, false, true, false },
	};
	struct draft draft;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		draft_init(&draft, "SCMP_ACT_ALLOW");
		draft_rule(&draft, "mkdir", "SCMP_ACT_KILL_PROCESS");
		draft_arg(&draft, 1, rows[i].op, rows[i].value, rows[i].two);
		cr_expect_eq(verdict(&draft, SYS_mkdir, 0, 4) == SECCOMP_RET_KILL_PROCESS,
		             rows[i].at_4, "%s", rows[i].op);
		cr_expect_eq(verdict(&draft, SYS_mkdir, 0, 5) == SECCOMP_RET_KILL_PROCESS,
		             rows[i].at_5, "%s", rows[i].op);
		cr_expect_eq(verdict(&draft, SYS_mkdir, 0, 6) == SECCOMP_RET_KILL_PROCESS,
		             rows[i].at_6, "%s", rows[i].op);
	}
}

Test(seccomp, conditions_on_two_arguments_must_both_hold)
{
	struct draft draft;

	draft_init(&draft, "SCMP_ACT_ALLOW");
	draft_rule(&draft, "mkdir", "SCMP_ACT_LOG");
	draft_arg(&draft, 0, "SCMP_CMP_EQ", 1, 0);
	draft_arg(&draft, 1, "SCMP_CMP_EQ", 2, 0);
	cr_expect_eq(verdict(&draft, SYS_mkdir, 1, 2), SECCOMP_RET_LOG);
	cr_expect_eq(verdict(&draft, SYS_mkdir, 1, 3), SECCOMP_RET_ALLOW);
}

Test(seccomp, of_two_conditions_on_one_argument_either_does)
{
	struct draft draft;

	draft_init(&draft, "SCMP_ACT_ALLOW");
	draft_rule(&draft, "mkdir", "SCMP_ACT_LOG");
	draft_arg(&draft, 0, "SCMP_CMP_EQ", 1, 0);
	draft_arg(&draft, 0, "SCMP_CMP_EQ", 2, 0);
	cr_expect_eq(verdict(&draft, SYS_mkdir, 1, 0), SECCOMP_RET_LOG);
	cr_expect_eq(verdict(&draft, SYS_mkdir, 2, 0), SECCOMP_RET_LOG);
	cr_expect_eq(verdict(&draft, SYS_mkdir, 3, 0), SECCOMP_RET_ALLOW);
}

Test(seccomp, other_architectures_are_killed_unless_named)
{
	const struct seccomp_data data = { .nr = 39 /* mkdir */, .arch = AUDIT_ARCH_I386 };
	char *architectures[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32" };
	struct seccomp *seccomp;
	struct draft draft;

	draft_init(&draft, "SCMP_ACT_ALLOW");
	draft_rule(&draft, "mkdir", "SCMP_ACT_LOG");
	seccomp = compile(&draft);
	cr_expect_eq(seccomp_evaluate(seccomp, &data), SECCOMP_RET_KILL_THREAD);
	seccomp_destroy(seccomp);
	draft.profile.architectures = architectures;
	draft.profile.n_architectures = 3;
	seccomp = compile(&draft);
	cr_expect_eq(seccomp_evaluate(seccomp, &data), SECCOMP_RET_LOG);
	seccomp_destroy(seccomp);
}

Test(seccomp, calls_newer_than_the_profile_do_not_exist)
{
	char *architectures[] = { "SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64" };
	struct draft draft;

	draft_init(&draft, "SCMP_ACT_ERRNO");
	draft.profile.architectures = architectures;
	draft.profile.n_architectures = 3;
	draft_rule(&draft, "mkdir", "SCMP_ACT_ALLOW");
	draft_rule(&draft, "openat2", "SCMP_ACT_ALLOW");
	cr_expect_eq(verdict(&draft, SYS_mkdir, 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(verdict(&draft, SYS_openat2, 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(verdict(&draft, SYS_rmdir, 0, 0), SECCOMP_RET_ERRNO | EPERM);
	cr_expect_eq(verdict(&draft, SYS_faccessat2, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
	cr_expect_eq(verdict(&draft, 0x40000000 + 5000, 0, 0), SECCOMP_RET_KILL_THREAD);
	draft.profile.defaultaction = "SCMP_ACT_LOG";
	cr_expect_eq(verdict(&draft, SYS_faccessat2, 0, 0), SECCOMP_RET_LOG);
}

Test(seccomp, what_was_written_is_read_again)
{
	const struct seccomp_data data = { .nr = SYS_mkdir, .arch = AUDIT_ARCH_X86_64 };
	autoclose int fd = memfd_create("test", MFD_ALLOW_SEALING);
	struct seccomp *seccomp;
	struct seccomp *again = NULL;
	struct draft draft;

	draft_init(&draft, "SCMP_ACT_ALLOW");
	draft_rule(&draft, "mkdir", "SCMP_ACT_LOG");
	seccomp = compile(&draft);
	cr_expect_lt(seccomp_read(fd, &again, NULL), 0);
	cr_assert_eq(seccomp_write(seccomp, fd, NULL), 0);
	cr_expect_lt(pwrite(fd, "", 1, 0), 0);
	cr_assert_eq(seccomp_read(fd, &again, NULL), 0);
	cr_expect_eq(seccomp_program(again).len, seccomp_program(seccomp).len);
	cr_expect_eq(seccomp_evaluate(again, &data), SECCOMP_RET_LOG);
	seccomp_destroy(seccomp);
	seccomp_destroy(again);
}

Test(seccomp, unknown_system_calls_are_left_out)
{
	struct draft draft;

	draft_init(&draft, "SCMP_ACT_ERRNO");
	draft_rule(&draft, "no_such_call", "SCMP_ACT_ALLOW");
	cr_expect_eq(verdict(&draft, SYS_mkdir, 0, 0), SECCOMP_RET_ERRNO | EPERM);
}

Test(seccomp, what_cannot_be_had_is_named)
{
	char *words[] = { "SCMP_ARCH_PDP11" };
	char *flags[] = { "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" };
	struct draft draft;

	draft_init(&draft, "SCMP_ACT_NOTIFY");
	expect_refusal(&draft, ERROR_UNIMPLEMENTED,
	               "linux.seccomp: SCMP_ACT_NOTIFY: not supported");
	draft_init(&draft, "SCMP_ACT_DANCE");
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.seccomp action \"SCMP_ACT_DANCE\": unknown");
	draft_init(&draft, "SCMP_ACT_ALLOW");
	draft_rule(&draft, "mkdir", "SCMP_ACT_KILL");
	draft_arg(&draft, 0, "SCMP_CMP_MAYBE", 1, 0);
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.seccomp operator \"SCMP_CMP_MAYBE\": unknown");
	draft.args[0].op = "SCMP_CMP_EQ";
	draft.args[0].index = 6;
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.seccomp argument index \"6\": greater than 5");
	draft_init(&draft, "SCMP_ACT_ALLOW");
	draft.profile.architectures = words;
	draft.profile.n_architectures = 1;
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.seccomp architecture \"SCMP_ARCH_PDP11\": unknown");
	draft_init(&draft, "SCMP_ACT_ALLOW");
	draft.profile.flags = flags;
	draft.profile.n_flags = 1;
	expect_refusal(
		&draft, ERROR_INVALID_ARGUMENT,
		"invalid linux.seccomp flag \"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\": unknown");
}
