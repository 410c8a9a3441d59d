/*
 * Device rules of a cgroup: an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE (kernel
 * Documentation/admin-guide/cgroup-v2.rst, "Device controller"), made from the spec's
 * linux.resources.devices and the rules that runc adds for every container.
 *
 * Everything is denied that no rule allows. Rules are read in order and each of read, write and
 * mknod is decided by the last rule that speaks of it; the added ones come last. In proto3 a number
 * that is absent reads as 0, so 0 is taken to the safe side: in a rule that denies it stands for
 * any number, in one that allows for 0 itself. -1 is any number in both.
 */
#ifndef AGENT_DEVICE_RULES_H
#define AGENT_DEVICE_RULES_H

#include "common/cleanup.h"
#include "proto/oci.pb-c.h"

struct bpf_program;
struct device_program;
struct error;

#define DEVICE_RULES_MAX 128 /* rules of a spec */

/* ERROR_INVALID_ARGUMENT names the rule that cannot be understood. @resources may be NULL. */
int device_rules_check(const Grpc__LinuxResources *resources, struct error *err);

/*
 * A place for the program that was loaded last: the kernel checks a program instruction by
 * instruction, which takes longer than all else that makes a cgroup, and the next container of a pod
 * mostly has the same rules.
 */
struct device_program *device_program_create(void);
void device_program_destroy(struct device_program *program); /* NULL is fine; cgroups keep theirs */
CLEANUP_DESTROY(device_program)

/*
 * Loads the program, unless @last is the same, and attaches it to the cgroup directory @cgroup_fd, for
 * the cgroup's life.
 */
int device_rules_attach(int cgroup_fd, const Grpc__LinuxResources *resources,
                        struct device_program *last, struct error *err);

/* The program alone. It gets a struct bpf_cgroup_dev_ctx and returns 1 to allow. */
int device_rules_compile(const Grpc__LinuxResources *resources, struct bpf_program **out,
                         struct error *err);

#endif
