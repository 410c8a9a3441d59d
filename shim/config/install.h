/*
 * Where the parts are that a VM is made of. Ours are found relative to the running executable, so
 * an installation can be anywhere; QEMU and virtiofsd where distributions put them. Nothing is
 * checked beyond that: what is missing is named by its user, by the path given here.
 */
#ifndef SHIM_INSTALL_H
#define SHIM_INSTALL_H

#include "common/cleanup.h"

struct error;

/* Absolute paths. */
struct install {
	char *vsock;       /* <prefix>/libexec/kata-containers/… */
	char *placeholder; /* the same */
	char *kernel;      /* <prefix>/share/kata-containers/… */
	char *initramfs;   /* the same */
	char *config_file; /* <prefix>/share/defaults/kata-containers/configuration.toml */
	const char *vmm;
	const char *virtiofsd;
};

/* @exe: the running executable's path; NULL: by /proc/self/exe. */
int install_find(const char *exe, struct install **out, struct error *err);
void install_destroy(struct install *install); /* NULL is fine */

CLEANUP_DESTROY(install)

#endif
