/*
 * A seccomp profile for one architecture as a BPF program, by libseccomp. One architecture at a
 * time, because libseccomp takes ten times as long for three of them at once.
 */
#ifndef AGENT_SECCOMP_RULES_H
#define AGENT_SECCOMP_RULES_H

#include <linux/filter.h>
#include <stdint.h>

#include "proto/oci.pb-c.h"

struct error;

struct seccomp_rules {
	uint32_t architecture;      /* libseccomp's token */
	uint32_t newest;            /* the highest number the profile speaks of; UINT32_MAX: any */
	struct sock_filter *filter; /* free() it */
	unsigned int count;
};

/* libseccomp's token of "SCMP_ARCH_X86_64" and its kind; 0 when it knows none. */
uint32_t seccomp_architecture(const char *name);

int seccomp_rules_make(const Grpc__LinuxSeccomp *profile, uint32_t architecture,
                       struct seccomp_rules *out, struct error *err);

#endif
