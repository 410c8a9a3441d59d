#include "common/netlink/net_socket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"
#include "common/netlink/net_attr.h"

#define DUMP_TRIES   10
#define REASON_MAX   200
#define ITEMS_FIRST  16
#define WATCH_BUFFER (1 << 20)

struct net_socket {
	struct nl_sock *nl;
};

/* What comes back for one request or dump. */
struct answer {
	const struct net_dump *dump; /* NULL: a request, which has no items */
	char *items;
	size_t n;
	size_t cap;
	bool heard; /* a message, since nl_recvmsgs() was called */
	bool done;
	int r;                   /* what an item could not be parsed for */
	int code;                /* the kernel's errno */
	char reason[REASON_MAX]; /* its own words, if it has some */
	struct error *err;
};

typedef int open_fn(int *out, struct error *err);

static int open_request_socket(int *out, struct error *err)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, "cannot open a netlink socket");
	*out = take_fd(&fd);
	return 0;
}

static int open_watch_socket(int *out, struct error *err)
{
	static const int groups[] = { RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
		                      RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		                      RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE };
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int size = WATCH_BUFFER;
	autoclose int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, "cannot open a netlink socket");
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
		               sizeof(groups[i])) < 0)
			return error_errno(err, "cannot watch the network namespace");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)); /* or there are gaps */
	*out = take_fd(&fd);
	return 0;
}

/* A socket stays in the namespace that it was made in. */
static int open_in(int netns_fd, open_fn *open_one, int *out, struct error *err)
{
	autoclose int own = -1;
	int r;

	if (netns_fd == NET_SOCKET_HERE)
		return open_one(out, err);
	own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return error_errno(err, "cannot open \"/proc/thread-self/ns/net\"");
	if (setns(netns_fd, CLONE_NEWNET) < 0) {
		if (errno == EINVAL)
			return error_set(err, ERROR_INVALID_ARGUMENT, "no network namespace");
		return error_errno(err, "cannot enter the network namespace");
	}
	r = open_one(out, err);
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	return r;
}

static void set_options(int fd)
{
	struct timeval timeout = { .tv_sec = NET_SOCKET_TIMEOUT_MS / 1000 };
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)); /* the kernel's own words */
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)); /* not the request again */
}

int net_socket_open(int netns_fd, struct net_socket **out, struct error *err)
{
	autodestroy(net_socket) struct net_socket *one = mem_new(struct net_socket);
	autoclose int fd = -1;
	int r;

	r = open_in(netns_fd, open_request_socket, &fd, err);
	if (r < 0)
		return r;
	set_options(fd);
	one->nl = nl_socket_alloc();
	if (!one->nl)
		abort();                     /* no memory, nothing else */
	nl_socket_disable_auto_ack(one->nl); /* a dump has none */
	r = nl_socket_set_fd(one->nl, NETLINK_ROUTE, fd);
	if (r < 0)
		return error_set(err, ERROR_UNKNOWN, "cannot use a netlink socket: %s",
		                 nl_geterror(r));
	take_fd(&fd); /* nl_socket_free() closes it */
	*out = take_ptr(&one);
	return 0;
}

void net_socket_destroy(struct net_socket *socket)
{
	if (!socket)
		return;
	if (socket->nl)
		nl_socket_free(socket->nl);
	free(socket);
}

struct nl_sock *net_socket_nl(struct net_socket *socket)
{
	return socket->nl;
}

int net_watch_open(int netns_fd, int *out, struct error *err)
{
	return open_in(netns_fd, open_watch_socket, out, err);
}

void net_watch_drain(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0 || errno == ENOBUFS)
		;
}

/* The words stand behind the header of the request, which NETLINK_CAP_ACK leaves alone. */
static void take_reason(struct answer *answer, const struct nlmsgerr *error)
{
	const struct nlmsghdr *header = (const void *)((const char *)error - NLMSG_HDRLEN);
	struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1];
	size_t fixed = NLMSG_HDRLEN + sizeof(*error);

	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS) || !(header->nlmsg_flags & NLM_F_CAPPED) ||
	    header->nlmsg_len <= fixed)
		return;
	if (nla_parse(attrs, NLMSGERR_ATTR_MAX, (struct nlattr *)(error + 1),
	              (int)(header->nlmsg_len - fixed), NULL) == 0 &&
	    attrs[NLMSGERR_ATTR_MSG])
		nla_strlcpy(answer->reason, attrs[NLMSGERR_ATTR_MSG], sizeof(answer->reason));
}

static int on_error(struct sockaddr_nl *peer, struct nlmsgerr *error, void *ctx)
{
	struct answer *answer = ctx;

	answer->heard = answer->done = true;
	answer->code = -error->error;
	take_reason(answer, error);
	return NL_STOP;
}

static int on_ack(struct nl_msg *message, void *ctx)
{
	struct answer *answer = ctx;

	answer->heard = answer->done = true;
	return NL_STOP;
}

/* A dump that failed on its way says so at its end. */
static int on_finish(struct nl_msg *message, void *ctx)
{
	const struct nlmsghdr *header = nlmsg_hdr(message);
	struct answer *answer = ctx;
	int code = 0;

	if (nlmsg_datalen(header) >= (int)sizeof(code))
		memcpy(&code, nlmsg_data(header), sizeof(code));
	answer->heard = answer->done = true;
	answer->code = code < 0 ? -code : 0;
	return NL_OK;
}

static void *room_for_item(struct answer *answer)
{
	size_t size = answer->dump->item_size;

	if (answer->n == answer->cap) {
		answer->cap = answer->cap ? 2 * answer->cap : ITEMS_FIRST;
		answer->items = mem_realloc(answer->items, answer->cap * size);
	}
	return memset(answer->items + answer->n * size, 0, size);
}

/* After an error the rest is read and dropped: the socket is used again. */
static int on_valid(struct nl_msg *message, void *ctx)
{
	struct answer *answer = ctx;
	const struct net_dump *dump = answer->dump;
	int r;

	answer->heard = true;
	if (!dump || answer->r < 0)
		return NL_OK;
	r = dump->parse(nlmsg_hdr(message), room_for_item(answer), answer->err);
	if (r > 0 && answer->n == dump->max)
		r = error_set(answer->err, ERROR_RESOURCE_EXHAUSTED, "more than %zu %s", dump->max,
		              dump->what);
	if (r < 0)
		answer->r = r;
	else
		answer->n += (size_t)r;
	return NL_OK;
}

static struct nl_cb *new_callbacks(struct answer *answer)
{
	struct nl_cb *callbacks = nl_cb_alloc(NL_CB_DEFAULT);

	if (!callbacks)
		abort();
	nl_cb_err(callbacks, NL_CB_CUSTOM, on_error, answer);
	nl_cb_set(callbacks, NL_CB_ACK, NL_CB_CUSTOM, on_ack, answer);
	nl_cb_set(callbacks, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, answer);
	nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, on_valid, answer);
	return callbacks;
}

/* Returns 0 when all has come, or libnl's error. */
static int receive(struct net_socket *socket, struct answer *answer)
{
	struct nl_cb *callbacks = new_callbacks(answer);
	int r = 0;

	while (r >= 0 && !answer->done) {
		answer->heard = false;
		r = nl_recvmsgs(socket->nl, callbacks);
		if (r >= 0 && !answer->heard)
			r = -NLE_AGAIN;
	}
	nl_cb_put(callbacks);
	return r < 0 && !answer->code ? r : 0;
}

static int fail(const struct answer *answer, int r, struct error *err)
{
	if (r == -NLE_AGAIN)
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "no answer from the kernel in %d ms",
		                 NET_SOCKET_TIMEOUT_MS);
	if (r < 0)
		return error_set(err, ERROR_UNKNOWN, "netlink: %s", nl_geterror(r));
	error_set(err, ERROR_UNKNOWN, "%s%s%s", strerror(answer->code), *answer->reason ? ": " : "",
	          answer->reason);
	return -answer->code;
}

int net_socket_request(struct net_socket *socket, struct nl_msg *message, struct error *err)
{
	struct answer answer = { .err = err };
	int r;

	nlmsg_hdr(message)->nlmsg_flags |= NLM_F_ACK;
	r = nl_send_auto(socket->nl, message);
	nlmsg_free(message);
	if (r >= 0)
		r = receive(socket, &answer);
	return r < 0 || answer.code ? fail(&answer, r, err) : 0;
}

static int dump_once(struct net_socket *socket, const struct net_dump *dump, struct answer *answer)
{
	struct nl_msg *message =
		net_message(dump->type, NLM_F_DUMP, dump->header, dump->header_len);
	int r = nl_send_auto(socket->nl, message);

	nlmsg_free(message);
	return r < 0 ? r : receive(socket, answer);
}

int net_socket_dump(struct net_socket *socket, const struct net_dump *dump, void **items, size_t *n,
                    struct error *err)
{
	struct answer answer = { .dump = dump, .err = err };
	int r = -NLE_DUMP_INTR;

	for (int i = 0; i < DUMP_TRIES && r == -NLE_DUMP_INTR; i++) {
		free(answer.items);
		answer = (struct answer){ .dump = dump, .err = err };
		r = dump_once(socket, dump, &answer);
	}
	if (r < 0 || answer.code)
		r = fail(&answer, r, err);
	else
		r = answer.r;
	if (r < 0 || !answer.n)
		free(take_ptr(&answer.items));
	if (r < 0) {
		error_wrap(err, "cannot read the %s", dump->what);
		return r;
	}
	*items = answer.items;
	*n = answer.n;
	return 0;
}
