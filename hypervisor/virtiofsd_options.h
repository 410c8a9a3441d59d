/*
 * The command line of virtiofsd. Two programs have this name, and other options each: the one in C,
 * which QEMU had up to 7.2, and the one in Rust that came after it.
 */
#ifndef HYPERVISOR_VIRTIOFSD_OPTIONS_H
#define HYPERVISOR_VIRTIOFSD_OPTIONS_H

struct virtiofsd_config;

/* For a daemon that listens on @listen_fd: argv, which is one piece to free(). NULL: a path is too
 * long. What cannot be read is taken for the one in C: to execute it will fail, too. */
char **virtiofsd_options(const struct virtiofsd_config *config, int listen_fd);

#endif
