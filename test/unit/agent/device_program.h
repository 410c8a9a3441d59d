/*
 * An interpreter of the few eBPF instructions that device rules are compiled to. What it does not
 * know, or a program that has no end, ends the process: it is a mistake of the compiler.
 */
#ifndef TEST_UNIT_AGENT_DEVICE_PROGRAM_H
#define TEST_UNIT_AGENT_DEVICE_PROGRAM_H

#include <stdbool.h>

#include "common/bpf.h"

/* Whether the program allows the access. */
bool device_program_run(const struct bpf_program *program, const struct bpf_cgroup_dev_ctx *ctx);

#endif
