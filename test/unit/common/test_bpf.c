#include "common/bpf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/error.h"

static int load(const struct bpf_program *program, struct error *err)
{
	return bpf_load(BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, program, "a test", err);
}

static void skip_without_bpf(void)
{
	if (geteuid())
		cr_skip_test("not root");
}

Test(bpf, a_program_grows)
{
	autodestroy(bpf_program) struct bpf_program *program = bpf_program_create();

	for (size_t i = 0; i < 1000; i++)
		cr_assert_eq(bpf_emit(program, BPF_LDX | BPF_MEM | BPF_W, 1, 2, 3, (int)i), i);
	cr_assert_eq(program->n, 1000);
	for (int i = 0; i < 1000; i++) {
		const struct bpf_insn *insn = &program->insns[i];

		cr_assert_eq(insn->code, BPF_LDX | BPF_MEM | BPF_W);
		cr_assert(insn->dst_reg == 1 && insn->src_reg == 2 && insn->off == 3);
		cr_assert_eq(insn->imm, i);
	}
}

Test(bpf, a_jump_leads_to_what_is_emitted_next)
{
	autodestroy(bpf_program) struct bpf_program *program = bpf_program_create();
	size_t first = bpf_emit_only(program, 0, 1);
	size_t second = bpf_emit_only(program, 4, 2);

	bpf_emit_set(program, BPF_REG_0, 7);
	bpf_land(program, second);
	bpf_emit_answer(program, 0);
	cr_expect_eq(program->insns[first].off, BPF_OPEN);
	cr_expect_eq(program->insns[second].off, 1);
}

Test(bpf, all_open_jumps_from_a_place_on_are_landed_and_nothing_else)
{
	autodestroy(bpf_program) struct bpf_program *program = bpf_program_create();
	size_t before = bpf_emit_only(program, 0, 1);
	size_t start = program->n;
	size_t store = bpf_emit(program, BPF_STX | BPF_MEM | BPF_B, BPF_REG_10, 0, -1, 0);
	size_t jump = bpf_emit(program, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, BPF_OPEN, 0);
	size_t jump32 = bpf_emit_only(program, 0, 1);
	size_t set = bpf_emit(program, BPF_JMP | BPF_JA, 0, 0, 0, 0);

	bpf_land_all(program, start);
	cr_expect_eq(program->insns[before].off, BPF_OPEN);
	cr_expect_eq(program->insns[store].off, -1);
	cr_expect_eq(program->insns[jump].off, (int)(program->n - jump - 1));
	cr_expect_eq(program->insns[jump32].off, (int)(program->n - jump32 - 1));
	cr_expect_eq(program->insns[set].off, 0);
}

Test(bpf, a_program_is_loaded, .init = skip_without_bpf)
{
	autodestroy(bpf_program) struct bpf_program *program = bpf_program_create();
	struct error err = { 0 };
	autoclose int fd = -1;

	bpf_emit_only(program, offsetof(struct bpf_cgroup_dev_ctx, major), 1);
	bpf_land_all(program, 0);
	bpf_emit_answer(program, 1);
	fd = load(program, &err);
	cr_assert_geq(fd, 0, "%s", err.text);
}

Test(bpf, an_error_quotes_what_the_verifier_says, .init = skip_without_bpf)
{
	autodestroy(bpf_program) struct bpf_program *program = bpf_program_create();
	struct error err = { 0 };

	bpf_emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	cr_assert_eq(load(program, &err), -EACCES);
	cr_assert_str_eq(err.text, "cannot load a test: \"R0 !read_ok\": Permission denied");
}

Test(bpf, an_error_of_which_the_verifier_says_nothing_has_its_cause, .init = skip_without_bpf)
{
	autodestroy(bpf_program) struct bpf_program *program = bpf_program_create();
	struct error err = { 0 };

	cr_assert_eq(load(program, &err), -E2BIG, "a program needs an instruction");
	cr_assert_str_eq(err.text, "cannot load a test: Argument list too long");
}
