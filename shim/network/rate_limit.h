/*
 * A limit of what leaves by a link: a token bucket as its root qdisc (tc-tbf(8)), with a handle of
 * ours.
 */
#ifndef SHIM_RATE_LIMIT_H
#define SHIM_RATE_LIMIT_H

#include <stdint.h>

struct error;
struct net_socket;

/*
 * @link by its index. A link that has a root qdisc already is left as it is: ERROR_ALREADY_EXISTS.
 * ERROR_UNIMPLEMENTED: the kernel has no such qdisc (CONFIG_NET_SCH_TBF).
 */
int rate_limit_set(struct net_socket *socket, int link, uint64_t bits_per_s, struct error *err);

/* No failure where none of ours is there, or the link has gone. */
int rate_limit_remove(struct net_socket *socket, int link, struct error *err);

#endif
