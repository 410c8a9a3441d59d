/*
 * eBPF programs, made of single instructions and given to the kernel by bpf(2): no library is
 * needed. Instructions: kernel Documentation/bpf/instruction-set.rst.
 */
#ifndef COMMON_BPF_H
#define COMMON_BPF_H

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct error;

/* It grows as instructions are put to its end. */
struct bpf_program {
	struct bpf_insn *insns;
	size_t n;
	size_t max;
};

struct bpf_program *bpf_program_create(void);          /* of no instruction */
void bpf_program_destroy(struct bpf_program *program); /* NULL is fine */
CLEANUP_DESTROY(bpf_program)

#define BPF_OPEN (-1) /* as @off of a jump: bpf_land() or bpf_land_all() sets where to */

/* Returns the instruction's place. */
size_t bpf_emit(struct bpf_program *program, int code, int dst, int src, int off, int imm);
void bpf_emit_set(struct bpf_program *program, int reg, int value);
void bpf_emit_copy(struct bpf_program *program, int to, int from);
void bpf_emit_load(struct bpf_program *program, int reg, size_t offset); /* r1: the context */
void bpf_emit_answer(struct bpf_program *program, int answer);           /* its end */

/* An open jump unless the context's field at @offset is @value. r1: the context. r2 is lost. */
size_t bpf_emit_only(struct bpf_program *program, size_t offset, uint32_t value);

/* The jump at @from leads to what is emitted next; so do all from @start on that are still open. */
void bpf_land(struct bpf_program *program, size_t from);
void bpf_land_all(struct bpf_program *program, size_t start);

int bpf_call(int command, union bpf_attr *attr); /* as the system call */

/*
 * Returns the descriptor of the loaded program. The error names @what was to be loaded ("the device
 * rules") and quotes what the kernel's verifier has against it.
 */
int bpf_load(enum bpf_prog_type type, enum bpf_attach_type attach_type,
             const struct bpf_program *program, const char *what, struct error *err);

/* Attaches it to a namespace or a cgroup for as long as the link, which is returned, is open; or
 * returns -1 and errno. */
int bpf_attach(int program, int target, enum bpf_attach_type attach_type);

#endif
