/*
 * eBPF programs (bpf(2)), made of single instructions: no library is needed.
 */
#ifndef COMMON_BPF_H
#define COMMON_BPF_H

#include <linux/bpf.h>
#include <stddef.h>

int bpf_call(int command, union bpf_attr *attr); /* as the system call */

/* Loads a program. Returns its descriptor, or -1 and errno. */
int bpf_load(enum bpf_prog_type type, enum bpf_attach_type attach_type,
             const struct bpf_insn *insns, size_t count);

/* Attaches it to a namespace or a cgroup for as long as the link, which is returned, is open; or
 * returns -1 and errno. */
int bpf_attach(int program, int target, enum bpf_attach_type attach_type);

#endif
