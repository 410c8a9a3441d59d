/*
 * A container's seccomp profile: what is compiled is a program that the kernel takes. The input is
 * a script, since a LinuxSeccomp with names that mean something is hard to come by.
 */
#include <assert.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launch/seccomp.h"
#include "common/error.h"
#include "common/mem.h"
#include "test/fuzz/fuzz.h"

const char *__lsan_default_suppressions(void);

#define COUNT(a)          (sizeof(a) / sizeof((a)[0]))
#define ARCHITECTURES_MAX 3
#define FLAGS_MAX         2
#define ROWS_MAX          4
#define NAMES_MAX         4
#define ARGS_MAX          7

/* The last of each list is none. */
static const char *const actions[] = {
	"SCMP_ACT_ALLOW",  "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
	"SCMP_ACT_TRAP",   "SCMP_ACT_TRACE", "SCMP_ACT_LOG",  "SCMP_ACT_KILL_THREAD",
	"SCMP_ACT_NOTIFY", "SCMP_ACT_",
};
static const char *const architectures[] = {
	"SCMP_ARCH_X86_64", "SCMP_ARCH_X86",   "SCMP_ARCH_X32",     "SCMP_ARCH_AARCH64",
	"SCMP_ARCH_ARM",    "SCMP_ARCH_S390X", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_MIPS",
	"SCMP_ARCH_NATIVE", "SCMP_ARCH_",
};
static const char *const flags[] = {
	"SECCOMP_FILTER_FLAG_LOG",
	"SECCOMP_FILTER_FLAG_SPEC_ALLOW",
	"SECCOMP_FILTER_FLAG_TSYNC",
	"SECCOMP_FILTER_FLAG_",
};
static const char *const operators[] = {
	"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",        "SCMP_CMP_EQ",
	"SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_",
};
static const char *const names[] = {
	"read",
	"openat",
	"clone",
	"socket",
	"socketcall",
	"ipc",
	"mmap2",
	"ptrace",
	"chown",
	"sysinfo",
	"clone3",
	"personality",
	"arm_sync_file_range",
	"s390_pci_mmio_read",
	"set_tls",
	"no_such_call",
};

struct profile {
	Grpc__LinuxSeccomp message;
	char *architectures[ARCHITECTURES_MAX];
	char *flags[FLAGS_MAX];
	Grpc__LinuxSyscall *rows[ROWS_MAX];
	struct row {
		Grpc__LinuxSyscall message;
		char *names[NAMES_MAX];
		Grpc__LinuxSeccompArg *args[ARGS_MAX];
		Grpc__LinuxSeccompArg arg[ARGS_MAX];
	} row[ROWS_MAX];
};

static char *choose(struct script *script, const char *const *words, size_t n)
{
	return (char *)words[script_byte(script) % n];
}

static void read_arg(struct script *script, Grpc__LinuxSeccompArg *arg)
{
	grpc__linux_seccomp_arg__init(arg);
	arg->index = script_byte(script) % (ARGS_MAX + 1);
	arg->op = choose(script, operators, COUNT(operators));
	arg->value = (uint64_t)script_number(script) << 32 | script_byte(script);
	arg->valuetwo = script_number(script);
}

static void read_row(struct script *script, struct row *row)
{
	uint8_t counts = script_byte(script);
	Grpc__LinuxSyscall *message = &row->message;

	grpc__linux_syscall__init(message);
	message->action = choose(script, actions, COUNT(actions));
	message->names = row->names;
	message->n_names = counts % (NAMES_MAX + 1);
	message->args = row->args;
	message->n_args = counts / 16 % (ARGS_MAX + 1);
	if (counts & 0x80) {
		message->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
		message->errnoret = script_number(script);
	}
	for (size_t i = 0; i < message->n_names; i++)
		row->names[i] = choose(script, names, COUNT(names));
	for (size_t i = 0; i < message->n_args; i++) {
		row->args[i] = &row->arg[i];
		read_arg(script, row->args[i]);
	}
}

static void read_profile(struct script *script, struct profile *profile)
{
	uint8_t counts = script_byte(script);
	Grpc__LinuxSeccomp *message = &profile->message;

	grpc__linux_seccomp__init(message);
	message->defaultaction = choose(script, actions, COUNT(actions));
	message->architectures = profile->architectures;
	message->n_architectures = counts % (ARCHITECTURES_MAX + 1);
	message->flags = profile->flags;
	message->n_flags = counts / 4 % (FLAGS_MAX + 1);
	message->syscalls = profile->rows;
	message->n_syscalls = counts / 16 % (ROWS_MAX + 1);
	for (size_t i = 0; i < message->n_architectures; i++)
		profile->architectures[i] = choose(script, architectures, COUNT(architectures));
	for (size_t i = 0; i < message->n_flags; i++)
		profile->flags[i] = choose(script, flags, COUNT(flags));
	for (size_t i = 0; i < message->n_syscalls; i++) {
		profile->rows[i] = &profile->row[i].message;
		read_row(script, &profile->row[i]);
	}
}

/* As the kernel does (bpf_check_classic() and seccomp_check_filter()): every jump goes forward and
 * stays inside, loads are of a struct seccomp_data, the end is a return. */
static void check_program(struct sock_fprog program)
{
	assert(program.len > 0 && program.len <= BPF_MAXINSNS);
	for (unsigned int i = 0; i < program.len; i++) {
		const struct sock_filter *insn = &program.filter[i];
		unsigned int left = program.len - i - 1;

		if (insn->code == (BPF_LD | BPF_W | BPF_ABS))
			assert(insn->k < sizeof(struct seccomp_data) && insn->k % 4 == 0);
		if (insn->code == (BPF_JMP | BPF_JA))
			assert(insn->k < left);
		else if (BPF_CLASS(insn->code) == BPF_JMP)
			assert(insn->jt < left && insn->jf < left);
	}
	assert(BPF_CLASS(program.filter[program.len - 1].code) == BPF_RET);
}

/* As the container's init leaves it to the execs. */
static void hand_on(const struct seccomp *seccomp)
{
	autoclose int fd = memfd_create("seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	autodestroy(seccomp) struct seccomp *copy = NULL;

	if (seccomp_write(seccomp, fd, NULL) < 0 || seccomp_read(fd, &copy, NULL) < 0)
		abort();
	assert(seccomp_program(copy).len == seccomp_program(seccomp).len);
}

/* The library loses parts of some profiles' trees when it frees them. Who compiles a profile is a
 * container's init, which soon executes something else. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libseccomp.so\n";
}

/* Rules that libseccomp has to bring together. */
static bool may_not_end(const Grpc__LinuxSeccomp *profile)
{
	size_t rows = 0, args = 0;

	for (size_t i = 0; i < profile->n_syscalls; i++) {
		rows += profile->syscalls[i]->n_args > 0;
		args += profile->syscalls[i]->n_args;
	}
	return args > rows;
}

/*
 * libseccomp 2.5 comes to no end with some profiles; a container's init then gives up. Which they
 * are shows in a child.
 */
static bool ends(const Grpc__LinuxSeccomp *profile)
{
	const struct itimerval limit = { .it_value = { .tv_usec = 100000 } };
	struct seccomp *seccomp;
	struct error err;
	int status = 0;
	pid_t pid;

	if (!may_not_end(profile))
		return true;
	pid = fork();
	if (pid == 0) {
		signal(SIGPROF, SIG_DFL);
		setitimer(ITIMER_PROF, &limit, NULL);
		seccomp_compile(profile, &seccomp, &err);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) /* libFuzzer's own alarm */
		;
	return !WIFSIGNALED(status) || WTERMSIG(status) != SIGPROF;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { data, size };
	autofree struct profile *profile = mem_new(struct profile);
	autodestroy(seccomp) struct seccomp *seccomp = NULL;
	struct error err = { 0 };

	read_profile(&script, profile);
	if (!ends(&profile->message))
		return 0;
	if (seccomp_compile(&profile->message, &seccomp, &err) < 0) {
		assert(!seccomp && strstr(err.text, "linux.seccomp"));
		return 0;
	}
	check_program(seccomp_program(seccomp));
	hand_on(seccomp);
	return 0;
}
