/*
 * The command line of the file server: ours, or virtiofsd. Two programs have this name, and other
 * options each: the one in C, which QEMU had up to 7.2, and the one in Rust that came after it.
 */
#ifndef HYPERVISOR_VIRTIOFSD_OPTIONS_H
#define HYPERVISOR_VIRTIOFSD_OPTIONS_H

struct virtiofsd_config;

enum virtiofsd_kind {
	VIRTIOFSD_IN_C,
	VIRTIOFSD_IN_RUST,
	VIRTIOFSD_OURS, /* kata-fs (hypervisor/fs/) */
};

/* Which one the file is. What cannot be read is taken for the one in C: to execute it will fail,
 * too. */
enum virtiofsd_kind virtiofsd_kind(const char *path);

/* For a daemon that listens on @fd, or ours, which has the VMM at the other end of it: argv, which is one piece to free(). NULL: a path is too
 * long. */
char **virtiofsd_options(const struct virtiofsd_config *config, enum virtiofsd_kind kind, int fd);

#endif
