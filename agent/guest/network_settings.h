/*
 * The kernel's settings of one link of the guest, as UpdateInterface names them:
 * /proc/sys/net/{ipv4,ipv6}/{conf,neigh}/LINK/NAME, and no others.
 */
#ifndef AGENT_NETWORK_SETTINGS_H
#define AGENT_NETWORK_SETTINGS_H

#include <stddef.h>

#include "proto/types.pb-c.h"

struct error;

/* ERROR_INVALID_ARGUMENT names the setting whose name or value could mean anything else. */
int network_settings_check(const Types__Interface *message, struct error *err);

/* Of @link, which is there. What the kernel does not have or take is logged and passed over: the
 * host's kernel may be another. */
void network_settings_apply(Types__LinkSetting *const *settings, size_t n, const char *link);

#endif
