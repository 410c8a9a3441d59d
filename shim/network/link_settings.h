/*
 * The kernel's settings of a link, /proc/sys/net/{ipv4,ipv6}/{conf,neigh}/LINK/, that somebody has
 * changed (docker's com.docker.network.endpoint.sysctls): those that are not what a link of the
 * namespace begins with. What was changed once stays listed, so that a change back is told as well.
 *
 * Settings that the guest's card has of its own making are left out: see link_settings.c.
 */
#ifndef SHIM_LINK_SETTINGS_H
#define SHIM_LINK_SETTINGS_H

#include <stddef.h>

struct error;
struct netns;

#define LINK_SETTING_NAME_MAX  64
#define LINK_SETTING_VALUE_MAX 128

struct link_setting {
	char name[LINK_SETTING_NAME_MAX]; /* "ipv4/conf/log_martians" */
	char value[LINK_SETTING_VALUE_MAX];
};

struct link_settings {
	struct link_setting *all; /* at most LIMIT_LINK_SETTINGS */
	size_t n;
};

/* Adds to @settings, a zero struct at first, what has changed of the link @name. A link that has
 * gone has none. Some 140 files are read: it takes less than a millisecond. */
int link_settings_read(struct link_settings *settings, const struct netns *netns, const char *name,
                       struct error *err);
void link_settings_fini(struct link_settings *settings);

#endif
