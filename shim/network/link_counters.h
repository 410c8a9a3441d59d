/*
 * What has gone through a pod's network: the counters of the links in its namespace, as the host's
 * kernel counts them. So they are those that clients see who look into the namespace themselves, and
 * no word of the guest's. lo is left out, and the taps, which count the same packets again.
 */
#ifndef SHIM_LINK_COUNTERS_H
#define SHIM_LINK_COUNTERS_H

#include <stddef.h>

#include "common/netlink/net_link.h"

struct error;
struct netns;

/* *links is free()d by the caller, and NULL when there are none. */
int link_counters_read(const struct netns *netns, struct net_link **links, size_t *n,
                       struct error *err);

#endif
