/*
 * System calls that are newer than a seccomp profile: to a C library that tries them first, ENOSYS
 * says "use the older one", any other error is final. So what has a higher number than all that
 * the profile names is answered ENOSYS before the profile is asked, as runc does.
 */
#ifndef AGENT_SECCOMP_ENOSYS_H
#define AGENT_SECCOMP_ENOSYS_H

#include <linux/filter.h>
#include <stddef.h>

#include "proto/oci.pb-c.h"

#define SECCOMP_ENOSYS_MAX 128 /* instructions */

/* The instructions to put before the profile's program; returns how many, 0 when none are due. */
size_t seccomp_enosys(const Grpc__LinuxSeccomp *profile,
                      struct sock_filter out[SECCOMP_ENOSYS_MAX]);

/* libseccomp's token of "SCMP_ARCH_X86_64" and its kind; 0 when it knows none. */
uint32_t seccomp_architecture(const char *name);

#endif
