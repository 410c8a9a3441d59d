#include "common/bpf.h"

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOADS_MAX 100 /* of one program, if signals come */

int bpf_call(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* The kernel gives up checking a program when a signal comes, of a child that ends for example. */
int bpf_load(enum bpf_prog_type type, enum bpf_attach_type attach_type,
             const struct bpf_insn *insns, size_t count)
{
	union bpf_attr attr = { 0 };
	int fd = -1;

	attr.prog_type = type;
	attr.expected_attach_type = attach_type;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = (uint32_t)count;
	attr.license = (uintptr_t) "Apache-2.0";
	for (int i = 0; i < LOADS_MAX; i++) {
		fd = bpf_call(BPF_PROG_LOAD, &attr);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

int bpf_attach(int program, int target, enum bpf_attach_type attach_type)
{
	union bpf_attr attr = { 0 };

	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_fd = (uint32_t)target;
	attr.link_create.attach_type = attach_type;
	return bpf_call(BPF_LINK_CREATE, &attr);
}
