#include "agent/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/seccomp_enosys.h"
#include "common/error.h"
#include "common/mem.h"

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif

#define ARGS_MAX 6  /* arguments of a system call */
#define TREE_MIN 32 /* names in a profile */

struct seccomp {
	struct sock_filter *filter;
	unsigned short count;
	unsigned int flags; /* SECCOMP_FILTER_FLAG_* */
};

static const struct {
	const char *name;
	uint32_t action;
} actions[] = {
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
};

static const struct {
	const char *name;
	enum scmp_compare op;
} operators[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

static const struct {
	const char *name;
	unsigned int flag;
} flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
};

/* @number is what an errno or trace action carries: EPERM where the profile has none. */
static int read_action(const char *name, unsigned int number, uint32_t *out, struct error *err)
{
	size_t i;

	if (!strcmp(name, "SCMP_ACT_NOTIFY"))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "linux.seccomp: SCMP_ACT_NOTIFY is not supported");
	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		*out = actions[i].action;
		if (*out == SCMP_ACT_ERRNO(0) || *out == SCMP_ACT_TRACE(0))
			*out |= number & SECCOMP_RET_DATA;
		return 0;
	}
	return error_set(err, ERROR_INVALID_ARGUMENT, "linux.seccomp: unknown action '%s'", name);
}

static int read_operator(const char *name, enum scmp_compare *out, struct error *err)
{
	size_t i;

	for (i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (strcmp(operators[i].name, name) != 0)
			continue;
		*out = operators[i].op;
		return 0;
	}
	return error_set(err, ERROR_INVALID_ARGUMENT, "linux.seccomp: unknown operator '%s'", name);
}

static int read_flags(const Grpc__LinuxSeccomp *profile, unsigned int *out, struct error *err)
{
	size_t i;
	size_t j;

	*out = 0;
	for (i = 0; i < profile->n_flags; i++) {
		for (j = 0; j < sizeof(flags) / sizeof(flags[0]); j++)
			if (!strcmp(flags[j].name, profile->flags[i]))
				break;
		if (j == sizeof(flags) / sizeof(flags[0]))
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "linux.seccomp: unknown flag '%s'", profile->flags[i]);
		*out |= flags[j].flag;
	}
	return 0;
}

static int add_architecture(scmp_filter_ctx ctx, const char *name, struct error *err)
{
	uint32_t token = seccomp_architecture(name);
	int r;

	if (!token)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "linux.seccomp: unknown architecture '%s'", name);
	r = seccomp_arch_add(ctx, token);
	if (r < 0 && r != -EEXIST) { /* the native one is there already */
		errno = -r;
		return error_errno(err, "linux.seccomp: add architecture '%s'", name);
	}
	return 0;
}

static int add_rule(scmp_filter_ctx ctx, uint32_t action, int nr, const char *name,
                    const struct scmp_arg_cmp *args, unsigned int count, struct error *err)
{
	int r = seccomp_rule_add_array(ctx, action, nr, count, args);

	if (r < 0) {
		errno = -r;
		return error_errno(err, "linux.seccomp: add a rule for '%s'", name);
	}
	return 0;
}

static int read_args(const Grpc__LinuxSyscall *row, struct scmp_arg_cmp *out, bool *again,
                     struct error *err)
{
	bool seen[ARGS_MAX] = { false };
	size_t i;
	int r;

	*again = false;
	for (i = 0; i < row->n_args; i++) {
		const Grpc__LinuxSeccompArg *arg = row->args[i];
		enum scmp_compare op = SCMP_CMP_EQ;

		r = read_operator(arg->op, &op, err);
		if (r < 0)
			return r;
		if (arg->index >= ARGS_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "linux.seccomp: there is no argument %llu",
			                 (unsigned long long)arg->index);
		*again = *again || seen[arg->index];
		seen[arg->index] = true;
		out[i] = (struct scmp_arg_cmp){ .arg = (unsigned int)arg->index,
			                        .op = op,
			                        .datum_a = arg->value,
			                        .datum_b = arg->valuetwo };
	}
	return 0;
}

/*
 * Conditions on different arguments must all hold; when one argument has several, each is a rule
 * of its own, as libseccomp cannot have both in one.
 */
static int add_name(scmp_filter_ctx ctx, uint32_t action, const char *name,
                    const struct scmp_arg_cmp *args, unsigned int count, bool apart,
                    struct error *err)
{
	int nr = seccomp_syscall_resolve_name(name);
	unsigned int i;
	int r = 0;

	if (nr == __NR_SCMP_ERROR)
		return 0;
	if (!apart)
		return add_rule(ctx, action, nr, name, args, count, err);
	for (i = 0; r == 0 && i < count; i++)
		r = add_rule(ctx, action, nr, name, &args[i], 1, err);
	return r;
}

static int add_syscall(scmp_filter_ctx ctx, uint32_t default_action, const Grpc__LinuxSyscall *row,
                       struct error *err)
{
	bool has_number = row->errno_ret_case == GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	autofree struct scmp_arg_cmp *args = NULL;
	uint32_t action = 0;
	bool apart;
	size_t i;
	int r;

	r = read_action(row->action, has_number ? row->errnoret : EPERM, &action, err);
	if (r < 0)
		return r;
	args = mem_alloc(row->n_args * sizeof(*args));
	r = read_args(row, args, &apart, err);
	if (r < 0 || action == default_action) /* libseccomp takes no rule that says nothing new */
		return r;
	for (i = 0; r == 0 && i < row->n_names; i++)
		r = add_name(ctx, action, row->names[i], args, row->n_args, apart, err);
	return r;
}

static int add_all(scmp_filter_ctx ctx, uint32_t default_action, const Grpc__LinuxSeccomp *profile,
                   struct error *err)
{
	size_t names = 0;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < profile->n_architectures; i++)
		r = add_architecture(ctx, profile->architectures[i], err);
	for (i = 0; i < profile->n_syscalls; i++)
		names += profile->syscalls[i]->n_names;
	if (r == 0 && names > TREE_MIN) /* a tree of comparisons; without it one after the other */
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (i = 0; r == 0 && i < profile->n_syscalls; i++)
		r = add_syscall(ctx, default_action, profile->syscalls[i], err);
	return r;
}

/* Behind @prefix, the program as bytes: this version of libseccomp writes it to a file only. */
static int export_program(scmp_filter_ctx ctx, const struct sock_filter *prefix, size_t n,
                          struct seccomp *seccomp, struct error *err)
{
	autoclose int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct stat st;
	size_t count;
	int r;

	if (fd < 0)
		return error_errno(err, "memfd_create");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0) {
		errno = -r;
		return error_errno(err, "linux.seccomp: make the program");
	}
	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat the seccomp program");
	count = n + st.st_size / sizeof(*prefix);
	if (count > BPF_MAXINSNS)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "linux.seccomp: the program has more than %d instructions",
		                 BPF_MAXINSNS);
	seccomp->filter = mem_alloc(count * sizeof(*prefix));
	seccomp->count = count;
	memcpy(seccomp->filter, prefix, n * sizeof(*prefix));
	if (pread(fd, seccomp->filter + n, st.st_size, 0) != st.st_size)
		return error_errno(err, "read the seccomp program");
	return 0;
}

int seccomp_compile(const Grpc__LinuxSeccomp *profile, struct seccomp **out, struct error *err)
{
	autodestroy(seccomp) struct seccomp *seccomp = mem_new(struct seccomp);
	struct sock_filter prefix[SECCOMP_ENOSYS_MAX];
	uint32_t default_action = 0;
	scmp_filter_ctx ctx;
	int r;

	r = read_action(profile->defaultaction, EPERM, &default_action, err);
	if (r == 0)
		r = read_flags(profile, &seccomp->flags, err);
	if (r < 0)
		return r;
	ctx = seccomp_init(default_action);
	if (!ctx)
		return error_set(err, ERROR_INTERNAL, "linux.seccomp: no filter to be had");
	r = add_all(ctx, default_action, profile, err);
	if (r == 0)
		r = export_program(ctx, prefix, seccomp_enosys(profile, prefix), seccomp, err);
	seccomp_release(ctx);
	if (r < 0)
		return r;
	*out = take_ptr(&seccomp);
	return 0;
}

int seccomp_install(const struct seccomp *seccomp, struct error *err)
{
	struct sock_fprog program = seccomp_program(seccomp);

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, seccomp->flags, &program) != 0)
		return error_errno(err, "linux.seccomp: install the program");
	return 0;
}

struct sock_fprog seccomp_program(const struct seccomp *seccomp)
{
	return (struct sock_fprog){ .len = seccomp->count, .filter = seccomp->filter };
}

void seccomp_destroy(struct seccomp *seccomp)
{
	if (!seccomp)
		return;
	free(seccomp->filter);
	free(seccomp);
}
