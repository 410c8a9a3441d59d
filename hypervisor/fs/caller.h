/*
 * As whom the process acts. The guest's kernel has checked what a process may do, so every right to
 * files stays; but what is made belongs to the process's user and group, and a program loses its
 * set-user-ID bit when who writes to it has not CAP_FSETID.
 *
 * Each of these costs a system call, so what is set stays until another caller needs otherwise.
 */
#ifndef HYPERVISOR_FS_CALLER_H
#define HYPERVISOR_FS_CALLER_H

#include <linux/capability.h>
#include <stdbool.h>
#include <sys/types.h>

struct caller {
	pid_t parent; /* a change of user clears the parent death signal */
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool without_fsetid;
};

/* The capabilities that the process keeps, as bits. */
#define CALLER_CAPABILITIES                                                                        \
	(1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER | 1ULL << CAP_FSETID |  \
	 1ULL << CAP_SETGID | 1ULL << CAP_SETUID | 1ULL << CAP_MKNOD | 1ULL << CAP_SETFCAP)

void caller_init(struct caller *caller); /* the process is root, its umask is set to 0 */
/* What is made from now on is @uid's and @gid's. */
int caller_become(struct caller *caller, uid_t uid, gid_t gid);
void caller_set_umask(struct caller *caller, mode_t mask);
/* Whether the process may keep set-user-ID bits of what it writes to. */
int caller_keep_setid(struct caller *caller, bool keep);

#endif
