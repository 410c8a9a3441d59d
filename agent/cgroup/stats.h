/*
 * What a container has used, from its cgroup v2 files and the guest's network interfaces, in the
 * agent protocol's terms, which are cgroup v1's:
 *   times are nanoseconds; a limit that is not set is UINT64_MAX, of pids 0;
 *   memory.usage.failcnt is memory.events' max; cache is memory.stat's file;
 *   memory.stats has every key of memory.stat, and those of memory.events as "events.<key>";
 *   blkio: io.stat with the operations Read, Write and Discard.
 */
#ifndef AGENT_STATS_H
#define AGENT_STATS_H

#include "proto/agent.pb-c.h"

struct error;

/* The caller owns *@out. A controller that the kernel lacks has no part in it. */
int stats_read(int cgroup_fd, Grpc__StatsContainerResponse **out, struct error *err);
void stats_free(Grpc__StatsContainerResponse *stats); /* NULL is fine */

#endif
