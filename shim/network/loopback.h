/*
 * The loopback of a pod's namespace on the host. Nobody listens there, since the pod's processes are
 * in the guest; yet whoever enters the namespace and connects to localhost means them (containerd
 * for a forwarded port). So a listening socket of each family gets every TCP connection to 127.0.0.1
 * and ::1, whatever its port: by a program of type sk_lookup (bpf(2); Linux 5.9) that is attached to
 * the namespace. Program and sockets are held by descriptors: nothing is left after a SIGKILL.
 *
 * Other addresses of 127.0.0.0/8 are not touched: docker's resolver is at 127.0.0.11.
 *
 *	created    the program is loaded, by calls that the shim's filter denies: before that
 *	attached   connections succeed, and wait to be accepted
 */
#ifndef SHIM_LOOPBACK_H
#define SHIM_LOOPBACK_H

#include "common/cleanup.h"

struct error;
struct loopback;
struct netns;

#define LOOPBACK_FAMILIES 2 /* IPv4, IPv6 */

int loopback_create(struct loopback **out, struct error *err);
/* Once, and by the two commands of bpf(2) that the filter allows (shim/host/deny_list.h). */
int loopback_attach(struct loopback *loopback, const struct netns *netns, struct error *err);
/* NULL is fine. Connections are refused, but for sockets that were taken. */
void loopback_destroy(struct loopback *loopback);

/* The listening socket of the family with number @i, which is the caller's from then on; -1: the
 * kernel does not have the family, or it was taken before. Legal once attached. */
int loopback_take(struct loopback *loopback, unsigned int i);

CLEANUP_DESTROY(loopback)

#endif
