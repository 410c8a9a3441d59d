/*
 * The shim's own seccomp filter. It is inherited by all that the shim starts (QEMU, virtiofsd,
 * hooks, loggers), so it denies only calls that none of them uses; a process that runs untrusted
 * code has an allow-list of its own. Of bpf(2) it allows what attaches a program that was loaded
 * before: MAP_UPDATE_ELEM and LINK_CREATE.
 */
#ifndef SHIM_DENY_LIST_H
#define SHIM_DENY_LIST_H

struct error;

/* For this process and its children, for ever. Needs CAP_SYS_ADMIN or no_new_privs. */
int deny_list_apply(struct error *err);

#endif
