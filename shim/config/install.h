/*
 * Where the parts are that a VM is made of. Ours are found relative to the running executable, so
 * an installation can be anywhere; QEMU and virtiofsd where distributions put them. Nothing is
 * checked beyond that: what is missing is named by its user, by the path given here.
 */
#ifndef SHIM_INSTALL_H
#define SHIM_INSTALL_H

#include "common/cleanup.h"

struct error;
struct install;

/* @exe: the running executable's path; NULL: by /proc/self/exe. */
int install_find(const char *exe, struct install **out, struct error *err);
void install_destroy(struct install *install); /* NULL is fine */

/* Absolute paths, owned by the install. */
const char *install_vsock(const struct install *install); /* <prefix>/libexec/kata-containers/… */
const char *install_kernel(const struct install *install); /* <prefix>/share/kata-containers/… */
const char *install_initramfs(const struct install *install);
/* <prefix>/share/defaults/kata-containers/configuration.toml */
const char *install_config(const struct install *install);
const char *install_vmm(const struct install *install);
const char *install_virtiofsd(const struct install *install);

CLEANUP_DESTROY(install)

#endif
