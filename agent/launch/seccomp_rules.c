#include "agent/launch/seccomp_rules.h"

#include <ctype.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define ARGS_MAX 6  /* arguments of a system call */
#define TREE_MIN 32 /* names in a profile */

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

/* @number is what an errno or trace action carries: EPERM where the profile has none. */
static int read_action(const char *name, unsigned int number, uint32_t *out, struct error *err)
{
	size_t i;

	if (!strcmp(name, "SCMP_ACT_NOTIFY"))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "linux.seccomp: SCMP_ACT_NOTIFY: not supported");
	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		*out = actions[i].action;
		if (*out == SCMP_ACT_ERRNO(0) || *out == SCMP_ACT_TRACE(0))
			*out |= number & SECCOMP_RET_DATA;
		return 0;
	}
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "invalid linux.seccomp action \"%s\": unknown", name);
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
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "invalid linux.seccomp operator \"%s\": unknown", name);
}

static int add_rule(scmp_filter_ctx ctx, uint32_t action, int nr, const char *name,
                    const struct scmp_arg_cmp *args, unsigned int count, struct error *err)
{
	int r = seccomp_rule_add_array(ctx, action, nr, count, args);

	if (r < 0) {
		errno = -r;
		return error_errno(err, "linux.seccomp: cannot add a rule for \"%s\"", name);
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
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"invalid linux.seccomp argument index \"%llu\": greater than %d",
				(unsigned long long)arg->index, ARGS_MAX - 1);
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

/* The context starts with the native architecture in it. */
static int set_architecture(scmp_filter_ctx ctx, uint32_t architecture, struct error *err)
{
	int r;

	if (architecture == seccomp_arch_native())
		return 0;
	r = seccomp_arch_add(ctx, architecture);
	if (r == 0)
		r = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
	if (r == 0)
		return 0;
	errno = -r;
	return error_errno(err, "linux.seccomp: cannot set architecture %#x", architecture);
}

static int add_all(scmp_filter_ctx ctx, uint32_t default_action, const Grpc__LinuxSeccomp *profile,
                   struct error *err)
{
	size_t names = 0;
	size_t i;
	int r = 0;

	for (i = 0; i < profile->n_syscalls; i++)
		names += profile->syscalls[i]->n_names;
	if (names > TREE_MIN) /* a tree of comparisons; without it one after the other */
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (i = 0; r == 0 && i < profile->n_syscalls; i++)
		r = add_syscall(ctx, default_action, profile->syscalls[i], err);
	return r;
}

/* The program as bytes: this version of libseccomp writes it to a file only. */
static int export_program(scmp_filter_ctx ctx, struct seccomp_rules *rules, struct error *err)
{
	autoclose int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0)
		return error_errno(err, "cannot make a memfd");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0) {
		errno = -r;
		return error_errno(err, "linux.seccomp: cannot make the program");
	}
	if (fstat(fd, &st) < 0)
		return error_errno(err, "cannot stat the seccomp program");
	rules->filter = mem_alloc(st.st_size);
	rules->count = st.st_size / sizeof(*rules->filter);
	if (pread(fd, rules->filter, st.st_size, 0) == st.st_size)
		return 0;
	error_errno(err, "cannot read the seccomp program");
	free(take_ptr(&rules->filter));
	return -EIO;
}

/* UINT32_MAX when the profile has no rule for the architecture. */
static uint32_t find_newest(const Grpc__LinuxSeccomp *profile, uint32_t architecture)
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

int seccomp_rules_make(const Grpc__LinuxSeccomp *profile, uint32_t architecture,
                       struct seccomp_rules *out, struct error *err)
{
	struct seccomp_rules rules = { .architecture = architecture };
	uint32_t default_action = 0;
	scmp_filter_ctx ctx;
	int r;

	r = read_action(profile->defaultaction, EPERM, &default_action, err);
	if (r < 0)
		return r;
	ctx = seccomp_init(default_action);
	if (!ctx)
		return error_set(err, ERROR_INTERNAL,
		                 "cannot compile linux.seccomp: libseccomp cannot make a filter");
	r = set_architecture(ctx, architecture, err);
	if (r == 0)
		r = add_all(ctx, default_action, profile, err);
	if (r == 0)
		r = export_program(ctx, &rules, err);
	seccomp_release(ctx);
	if (r < 0)
		return r;
	rules.newest = find_newest(profile, architecture);
	*out = rules;
	return 0;
}
