/*
 * A netlink socket (rtnetlink(7)) in one network namespace, and the two ways to use it: a request
 * that the kernel acknowledges, and a dump. The kernel answers both before the call that asks
 * returns, so nothing here waits; a socket gives up after NET_SOCKET_TIMEOUT_MS all the same.
 *
 * The nouns above it (net_link.h, net_address.h, ...) are plain structs and know no socket but this.
 */
#ifndef COMMON_NET_SOCKET_H
#define COMMON_NET_SOCKET_H

#include <stddef.h>

#include "common/cleanup.h"

struct error;
struct net_socket;
struct nl_msg;
struct nl_sock;
struct nlmsghdr;

#define NET_SOCKET_TIMEOUT_MS 5000
#define NET_SOCKET_HERE       (-1) /* as a namespace: the calling thread's */

/*
 * A socket in the network namespace that @netns_fd is open on. The calling thread enters the
 * namespace and returns; a thread that could not return would work in a foreign namespace, so the
 * process aborts then. ERROR_INVALID_ARGUMENT: @netns_fd is no network namespace.
 */
int net_socket_open(int netns_fd, struct net_socket **out, struct error *err);
void net_socket_destroy(struct net_socket *socket); /* NULL is fine */

CLEANUP_DESTROY(net_socket)

/* For what has no noun here (qdiscs, filters): owned by @socket. */
struct nl_sock *net_socket_nl(struct net_socket *socket);

/*
 * A descriptor (the caller's, not blocking) that becomes readable when links, addresses, routes,
 * neighbours or rules of that namespace change. What is read says only that something has changed:
 * net_watch_drain() it, then read the state again. The kernel can drop a message, but not the
 * change: what is left then is an error of recv(2), ENOBUFS, which is a change, too.
 */
int net_watch_open(int netns_fd, int *out, struct error *err);
void net_watch_drain(int fd);

/*
 * Sends @message, which is freed, and takes the kernel's answer: 0, or the kernel's own -errno with
 * its text, to be put behind what was tried: "cannot set link 3 up: Operation not permitted".
 * ERROR_DEADLINE_EXCEEDED: no answer.
 */
int net_socket_request(struct net_socket *socket, struct nl_msg *message, struct error *err);

/* A list of the kernel's as an array. */
struct net_dump {
	const char *what; /* for errors: "links" */
	int type;         /* RTM_GET* */
	const void *header;
	size_t header_len;
	size_t item_size;
	size_t max; /* of items: more are ERROR_RESOURCE_EXHAUSTED */
	/* 1: @item, which was zero, is one; 0: one that is not wanted; or -errno. */
	int (*parse)(struct nlmsghdr *header, void *item, struct error *err);
};

/* A dump during which the list changed is done again. *items is free()d by the caller, and NULL when
 * there are none. */
int net_socket_dump(struct net_socket *socket, const struct net_dump *dump, void **items, size_t *n,
                    struct error *err);

#endif
