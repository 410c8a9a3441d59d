/*
 * The spec's seccomp profile (runtime-spec config-linux.md, "Seccomp") as a BPF program for
 * seccomp(2), by libseccomp. All of it is applied or the profile is refused; a system call that
 * libseccomp does not know by name is left to the default action, as runc does.
 */
#ifndef AGENT_SECCOMP_H
#define AGENT_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "proto/oci.pb-c.h"

struct error;
struct seccomp;

/* ERROR_UNIMPLEMENTED or ERROR_INVALID_ARGUMENT for what cannot be had, named with its place. */
int seccomp_compile(const Grpc__LinuxSeccomp *profile, struct seccomp **out, struct error *err);

/*
 * seccomp_compile() and seccomp_write() in a child process, which has a limit of processor time:
 * libseccomp 2.5 comes to no end with some profiles; the conditions of two rules can be enough. The
 * child is not the container's: @cgroup, a descriptor of a cgroup v2 directory, is where it is
 * counted; -1: where the caller is.
 */
int seccomp_compile_apart(const Grpc__LinuxSeccomp *profile, int fd, int cgroup, struct error *err);

/*
 * The compiled profile in the memfd @fd, sealed, so that the container's other processes need not
 * compile it: that takes longer than all the rest of an exec.
 */
int seccomp_write(const struct seccomp *seccomp, int fd, struct error *err);
int seccomp_read(int fd, struct seccomp **out, struct error *err);

/*
 * For this process and all it will become. Needs no_new_privs or CAP_SYS_ADMIN; from here on only
 * what the profile allows can be called.
 */
int seccomp_install(const struct seccomp *seccomp, struct error *err);

struct seccomp_data;

/*
 * SECCOMP_RET_* with its data: what the program says to a call, as the kernel would run it. An
 * instruction that libseccomp does not use: as if the call were forbidden.
 */
uint32_t seccomp_evaluate(const struct seccomp *seccomp, const struct seccomp_data *call);

/* Whether this architecture's call with these first arguments, and others of 0, goes through. */
bool seccomp_allows(const struct seccomp *seccomp, int number, uint64_t first, uint64_t second);

/* The program, for tests; valid as long as @seccomp. */
struct sock_fprog seccomp_program(const struct seccomp *seccomp);

void seccomp_destroy(struct seccomp *seccomp); /* NULL is fine */
CLEANUP_DESTROY(seccomp)

#endif
