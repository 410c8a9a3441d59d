#include "test/unit/agent/device_program.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#define REGISTERS 11

static uint64_t operand(const struct bpf_insn *insn, const uint64_t *reg)
{
	return BPF_SRC(insn->code) == BPF_X ? reg[insn->src_reg] : (uint64_t)(int64_t)insn->imm;
}

static void alu(const struct bpf_insn *insn, uint64_t *reg)
{
	uint64_t *dst = &reg[insn->dst_reg];
	uint64_t value = operand(insn, reg);

	switch (BPF_OP(insn->code)) {
	case BPF_MOV:
		*dst = value;
		break;
	case BPF_AND:
		*dst &= value;
		break;
	case BPF_RSH:
		*dst >>= value;
		break;
	default:
		abort();
	}
}

static bool jumps(const struct bpf_insn *insn, const uint64_t *reg)
{
	bool equal = reg[insn->dst_reg] == operand(insn, reg);

	assert(BPF_OP(insn->code) == BPF_JEQ || BPF_OP(insn->code) == BPF_JNE);
	assert(insn->off >= 0);
	return BPF_OP(insn->code) == BPF_JEQ ? equal : !equal;
}

bool device_program_run(const struct bpf_program *program, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t reg[REGISTERS] = { 0 };

	for (size_t i = 0; i < program->n; i++) {
		const struct bpf_insn *insn = &program->insns[i];

		if (insn->code == (BPF_JMP | BPF_EXIT))
			return reg[0];
		if (BPF_CLASS(insn->code) == BPF_LDX)
			reg[insn->dst_reg] = *(const uint32_t *)((const char *)ctx + insn->off);
		else if (BPF_CLASS(insn->code) == BPF_ALU64)
			alu(insn, reg);
		else if (BPF_CLASS(insn->code) == BPF_JMP && jumps(insn, reg))
			i += insn->off;
	}
	abort();
}
