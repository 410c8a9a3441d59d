/*
 * The pod's resolv.conf, for the guest and for containers that bind it: in the place where upstream's
 * agent has it.
 */
#ifndef AGENT_RESOLV_CONF_H
#define AGENT_RESOLV_CONF_H

#include <stddef.h>

struct error;

#define RESOLV_CONF_PATH  "/run/kata-containers/sandbox/resolv.conf"
#define RESOLV_CONF_LINKS "/etc/resolv.conf" /* a link to it */
#define RESOLV_CONF_MAX   65536

/* ERROR_INVALID_ARGUMENT: an entry is not one line, or all are too long. */
int resolv_conf_check(char *const *lines, size_t n, struct error *err);

/* Writes those that have been checked. @root: "" in the guest, put before both paths. */
int resolv_conf_write(const char *root, char *const *lines, size_t n, struct error *err);

#endif
