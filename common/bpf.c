#include "common/bpf.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/error.h"
#include "common/mem.h"

#define INSNS_MIN 64          /* there is room for at first */
#define LOADS_MAX 100         /* of one program, if signals come */
#define LOG_MAX   (256 << 10) /* of the verifier */

struct bpf_program *bpf_program_create(void)
{
	return mem_new(struct bpf_program);
}

void bpf_program_destroy(struct bpf_program *program)
{
	if (!program)
		return;
	free(program->insns);
	free(program);
}

size_t bpf_emit(struct bpf_program *program, int code, int dst, int src, int off, int imm)
{
	if (program->n == program->max) {
		program->max = program->max ? program->max * 2 : INSNS_MIN;
		program->insns =
			mem_realloc(program->insns, program->max * sizeof(*program->insns));
	}
	program->insns[program->n] = (struct bpf_insn){
		.code = code,
		.dst_reg = dst,
		.src_reg = src,
		.off = off,
		.imm = imm,
	};
	return program->n++;
}

void bpf_emit_set(struct bpf_program *program, int reg, int value)
{
	bpf_emit(program, BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value);
}

void bpf_emit_copy(struct bpf_program *program, int to, int from)
{
	bpf_emit(program, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

void bpf_emit_load(struct bpf_program *program, int reg, size_t offset)
{
	bpf_emit(program, BPF_LDX | BPF_MEM | BPF_W, reg, BPF_REG_1, (int)offset, 0);
}

void bpf_emit_answer(struct bpf_program *program, int answer)
{
	bpf_emit_set(program, BPF_REG_0, answer);
	bpf_emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

size_t bpf_emit_only(struct bpf_program *program, size_t offset, uint32_t value)
{
	bpf_emit_load(program, BPF_REG_2, offset);
	return bpf_emit(program, BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_2, 0, BPF_OPEN, (int)value);
}

void bpf_land(struct bpf_program *program, size_t from)
{
	program->insns[from].off = (short)(program->n - from - 1);
}

static bool is_open(const struct bpf_insn *insn)
{
	bool is_jump = BPF_CLASS(insn->code) == BPF_JMP || BPF_CLASS(insn->code) == BPF_JMP32;

	return is_jump && insn->off == BPF_OPEN;
}

void bpf_land_all(struct bpf_program *program, size_t start)
{
	for (size_t i = start; i < program->n; i++)
		if (is_open(&program->insns[i]))
			bpf_land(program, i);
}

int bpf_call(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* The kernel gives up checking a program when a signal comes, of a child that ends for example. */
static int load(union bpf_attr *attr)
{
	int fd = -1;

	for (int i = 0; i < LOADS_MAX; i++) {
		fd = bpf_call(BPF_PROG_LOAD, attr);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

/* The verifier's last line before its count of instructions; "" if it has said nothing. */
static const char *complaint(char *log)
{
	char *end = strstr(log, "\nprocessed ");
	const char *line;

	if (!end)
		end = strrchr(log, '\n');
	if (end)
		*end = '\0';
	line = strrchr(log, '\n');
	return line ? line + 1 : log;
}

/* errno says why @attr could not be loaded. To have it logged each time would take longer. */
static int refuse(union bpf_attr *attr, const char *what, struct error *err)
{
	autofree char *log = mem_alloc(LOG_MAX);
	const char *line = "";
	int cause = errno;

	attr->log_level = 1;
	attr->log_buf = (uintptr_t)log;
	attr->log_size = LOG_MAX;
	cleanup_close(&(int){ load(attr) });
	if (errno != ENOSPC) /* a log that is cut lacks its end */
		line = complaint(log);
	errno = cause;
	return *line ? error_errno(err, "cannot load %s: \"%s\"", what, line)
	             : error_errno(err, "cannot load %s", what);
}

int bpf_load(enum bpf_prog_type type, enum bpf_attach_type attach_type,
             const struct bpf_program *program, const char *what, struct error *err)
{
	union bpf_attr attr = { 0 };
	int fd;

	attr.prog_type = type;
	attr.expected_attach_type = attach_type;
	attr.insns = (uintptr_t)program->insns;
	attr.insn_cnt = (uint32_t)program->n;
	attr.license = (uintptr_t) "Apache-2.0";
	fd = load(&attr);
	return fd >= 0 ? fd : refuse(&attr, what, err);
}

int bpf_attach(int program, int target, enum bpf_attach_type attach_type)
{
	union bpf_attr attr = { 0 };

	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_fd = (uint32_t)target;
	attr.link_create.attach_type = attach_type;
	return bpf_call(BPF_LINK_CREATE, &attr);
}
