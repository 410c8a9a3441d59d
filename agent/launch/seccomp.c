/*
 * The program is put together of one for each architecture and a head that chooses between them:
 *
 *	for each:  another architecture?        go on to the next
 *	           newer than the profile?      ENOSYS
 *	                                        jump to its program
 *	           none of them                 kill
 *
 * A C library takes ENOSYS as "use the older call" and any other error as final; so a call that the
 * profile cannot know of gets ENOSYS, as under runc.
 */
#include "agent/launch/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launch/seccomp_rules.h"
#include "common/error.h"
#include "common/mem.h"

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif

#define ARCHITECTURES_MAX 32
#define COMPILE_CPU_S     5           /* a usual profile takes far less, even without KVM */
#define BLOCK_SIZE        7           /* instructions of the head for one architecture */
#define X32_BIT           0x40000000U /* of a number on x86_64: a table of its own */

struct seccomp {
	struct sock_filter *filter;
	unsigned short count;
	unsigned int flags; /* SECCOMP_FILTER_FLAG_* */
};

/* What the program is made of. */
struct parts {
	struct seccomp_rules rules[ARCHITECTURES_MAX];
	size_t n;
};

static const struct {
	const char *name;
	unsigned int flag;
} flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
};

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
			                 "invalid linux.seccomp flag \"%s\": unknown",
			                 profile->flags[i]);
		*out |= flags[j].flag;
	}
	return 0;
}

/* Once each. */
static int add_architecture(struct parts *parts, const Grpc__LinuxSeccomp *profile,
                            uint32_t architecture, struct error *err)
{
	size_t i;
	int r;

	for (i = 0; i < parts->n; i++)
		if (parts->rules[i].architecture == architecture)
			return 0;
	if (parts->n == ARCHITECTURES_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "linux.seccomp: more than %d architectures", ARCHITECTURES_MAX);
	r = seccomp_rules_make(profile, architecture, &parts->rules[parts->n], err);
	if (r == 0)
		parts->n++;
	return r;
}

static int add_architectures(struct parts *parts, const Grpc__LinuxSeccomp *profile,
                             struct error *err)
{
	bool native = false;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < profile->n_architectures; i++) {
		uint32_t architecture = seccomp_architecture(profile->architectures[i]);

		if (!architecture)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid linux.seccomp architecture \"%s\": unknown",
			                 profile->architectures[i]);
		native = native || architecture == seccomp_arch_native();
		r = add_architecture(parts, profile, architecture, err);
	}
	if (r < 0 || native)
		return r;
	/* It always belongs to a profile; whether the profile knows its calls is not sure. */
	r = add_architecture(parts, profile, seccomp_arch_native(), err);
	if (r == 0)
		parts->rules[parts->n - 1].newest = UINT32_MAX;
	return r;
}

/* A profile that lets the unknown through, or asks a tracer: neither needs help. */
static bool is_permissive(const char *action)
{
	return !strcmp(action, "SCMP_ACT_ALLOW") || !strcmp(action, "SCMP_ACT_LOG") ||
	       !strcmp(action, "SCMP_ACT_TRACE");
}

/* The part of the head for @rules, whose program is @distance instructions behind it. */
static void write_block(struct sock_filter *out, const struct seccomp_rules *rules,
                        uint32_t distance)
{
	bool x32 = rules->architecture == SCMP_ARCH_X32;
	bool x86_64 = rules->architecture == SCMP_ARCH_X86_64;
	uint32_t number = x32 ? AUDIT_ARCH_X86_64 : rules->architecture;
	const struct sock_filter block[BLOCK_SIZE] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, x86_64 ? 3 : 0, x32 ? 3 : 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, rules->newest, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_JMP | BPF_JA, distance),
	};

	memcpy(out, block, sizeof(block));
}

static int join_parts(const struct parts *parts, struct seccomp *seccomp, struct error *err)
{
	const struct sock_filter otherwise = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD);
	size_t head = parts->n * BLOCK_SIZE + 1;
	size_t count = head;
	size_t i;

	for (i = 0; i < parts->n; i++)
		count += parts->rules[i].count;
	if (count > BPF_MAXINSNS)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "linux.seccomp: the program has more than %d instructions",
		                 BPF_MAXINSNS);
	seccomp->filter = mem_alloc(count * sizeof(*seccomp->filter));
	seccomp->count = count;
	count = head;
	for (i = 0; i < parts->n; i++) {
		const struct seccomp_rules *rules = &parts->rules[i];

		write_block(seccomp->filter + i * BLOCK_SIZE, rules, count - (i + 1) * BLOCK_SIZE);
		memcpy(seccomp->filter + count, rules->filter,
		       rules->count * sizeof(*rules->filter));
		count += rules->count;
	}
	seccomp->filter[head - 1] = otherwise;
	return 0;
}

int seccomp_compile(const Grpc__LinuxSeccomp *profile, struct seccomp **out, struct error *err)
{
	autodestroy(seccomp) struct seccomp *seccomp = mem_new(struct seccomp);
	struct parts parts = { .n = 0 };
	size_t i;
	int r;

	r = read_flags(profile, &seccomp->flags, err);
	if (r == 0)
		r = add_architectures(&parts, profile, err);
	for (i = 0; i < parts.n; i++)
		if (is_permissive(profile->defaultaction))
			parts.rules[i].newest = UINT32_MAX;
	if (r == 0)
		r = join_parts(&parts, seccomp, err);
	for (i = 0; i < parts.n; i++)
		free(parts.rules[i].filter);
	if (r < 0)
		return r;
	*out = take_ptr(&seccomp);
	return 0;
}

/* In the file: the flags, then the instructions. */
int seccomp_write(const struct seccomp *seccomp, int fd, struct error *err)
{
	const struct iovec parts[] = {
		{ (void *)&seccomp->flags, sizeof(seccomp->flags) },
		{ seccomp->filter, seccomp->count * sizeof(*seccomp->filter) },
	};
	size_t len = parts[0].iov_len + parts[1].iov_len;
	ssize_t n = pwritev(fd, parts, 2, 0);

	if (n < 0 || (size_t)n != len ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return error_errno(err, "cannot keep the seccomp program");
	return 0;
}

int seccomp_read(int fd, struct seccomp **out, struct error *err)
{
	autodestroy(seccomp) struct seccomp *seccomp = mem_new(struct seccomp);
	struct iovec parts[] = {
		{ &seccomp->flags, sizeof(seccomp->flags) },
		{ NULL, BPF_MAXINSNS * sizeof(*seccomp->filter) },
	};
	ssize_t n;

	seccomp->filter = mem_alloc(parts[1].iov_len);
	parts[1].iov_base = seccomp->filter;
	n = preadv(fd, parts, 2, 0) - (ssize_t)sizeof(seccomp->flags);
	if (n <= 0 || n % sizeof(*seccomp->filter))
		return error_set(err, ERROR_INTERNAL, "the container's seccomp program is lost");
	seccomp->count = n / sizeof(*seccomp->filter);
	*out = take_ptr(&seccomp);
	return 0;
}

/* The child: what went wrong goes to @told. */
static void __attribute__((noreturn))
compiler_main(const Grpc__LinuxSeccomp *profile, int fd, int told)
{
	const struct itimerval limit = { .it_value = { .tv_sec = COMPILE_CPU_S } };
	struct seccomp *seccomp;
	struct error err;
	int r;

	signal(SIGPROF, SIG_DFL);
	setitimer(ITIMER_PROF, &limit, NULL);
	r = seccomp_compile(profile, &seccomp, &err);
	if (r == 0)
		r = seccomp_write(seccomp, fd, &err);
	_exit(r < 0 && write(told, &err, sizeof(err)) == sizeof(err));
}

static pid_t start_compiler(const Grpc__LinuxSeccomp *profile, int fd, int cgroup, int *told,
                            struct error *err)
{
	struct clone_args args = {
		.flags = cgroup < 0 ? 0 : CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup < 0 ? 0 : cgroup,
	};
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		compiler_main(profile, fd, ends[1]);
	if (pid < 0) {
		pid = error_errno(err, "cannot start a process for the seccomp profile");
		close(ends[0]);
	}
	close(ends[1]);
	*told = ends[0];
	return pid;
}

/* How the compiler ended that had nothing to tell. */
static int read_end(int status, struct error *err)
{
	if (status == 0)
		return 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "cannot compile linux.seccomp: not done within %d s of CPU time",
		                 COMPILE_CPU_S);
	return error_set(err, ERROR_INTERNAL, "cannot compile linux.seccomp: the compiler crashed");
}

int seccomp_compile_apart(const Grpc__LinuxSeccomp *profile, int fd, int cgroup, struct error *err)
{
	struct error error;
	int told = -1;
	int status;
	ssize_t n;
	pid_t pid = start_compiler(profile, fd, cgroup, &told, err);

	if (pid < 0)
		return pid;
	n = read(told, &error, sizeof(error));
	close(told);
	if (waitpid(pid, &status, 0) < 0)
		return error_errno(err, "cannot wait for the seccomp profile");
	if (n != sizeof(error))
		return read_end(status, err);
	error_copy(err, &error);
	return error_code_errno(error.code);
}

int seccomp_install(const struct seccomp *seccomp, struct error *err)
{
	struct sock_fprog program = seccomp_program(seccomp);

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, seccomp->flags, &program) != 0)
		return error_errno(err, "linux.seccomp: cannot install the program");
	return 0;
}

static bool is_jump_taken(struct sock_filter jump, uint32_t a)
{
	switch (BPF_OP(jump.code)) {
	case BPF_JEQ:
		return a == jump.k;
	case BPF_JGT:
		return a > jump.k;
	case BPF_JGE:
		return a >= jump.k;
	default:
		return a & jump.k;
	}
}

/* Classic BPF as far as libseccomp and write_block() use it. */
uint32_t seccomp_evaluate(const struct seccomp *seccomp, const struct seccomp_data *call)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < seccomp->count; pc++) {
		const struct sock_filter op = seccomp->filter[pc];

		if (op.code == (BPF_LD | BPF_W | BPF_ABS) && op.k <= sizeof(*call) - sizeof(a))
			memcpy(&a, (const char *)call + op.k, sizeof(a));
		else if (op.code == (BPF_ALU | BPF_AND | BPF_K))
			a &= op.k;
		else if (op.code == (BPF_JMP | BPF_JA))
			pc += op.k;
		else if (BPF_CLASS(op.code) == BPF_JMP && BPF_SRC(op.code) == BPF_K)
			pc += is_jump_taken(op, a) ? op.jt : op.jf;
		else if (op.code == (BPF_RET | BPF_K))
			return op.k;
		else
			break;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

bool seccomp_allows(const struct seccomp *seccomp, int number, uint64_t first, uint64_t second)
{
	const struct seccomp_data call = { .nr = number,
		                           .arch = seccomp_arch_native(),
		                           .args = { first, second } };
	uint32_t action = seccomp_evaluate(seccomp, &call) & SECCOMP_RET_ACTION_FULL;

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
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
