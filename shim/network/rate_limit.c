#include "shim/network/rate_limit.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/netlink/net_attr.h"
#include "common/netlink/net_socket.h"

#define KIND   "tbf"
#define HANDLE TC_H_MAKE(0x4b41 << 16, 0) /* nobody chooses it by chance */

#define BITS_PER_BYTE 8
#define BURST_PER_S   100          /* a burst is what passes in 10 ms, */
#define BURST_MIN     (128U << 10) /* and at least two of the largest segments of a guest */
#define BURST_MAX     (1U << 30)
#define QUEUE_BURSTS  4 /* that wait; more is dropped */

static struct tcmsg make_header(int link)
{
	return (struct tcmsg){
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = link,
		.tcm_handle = HANDLE,
		.tcm_parent = TC_H_ROOT,
	};
}

static uint32_t burst_of(uint64_t bytes_per_s)
{
	uint64_t burst = bytes_per_s / BURST_PER_S;

	if (burst < BURST_MIN)
		return BURST_MIN;
	return burst < BURST_MAX ? (uint32_t)burst : BURST_MAX;
}

/* The rate has 64 bits in an attribute of its own, where 32 are too few. */
static void put_options(struct nl_msg *message, uint64_t bytes_per_s)
{
	const uint32_t burst = burst_of(bytes_per_s);
	const struct tc_tbf_qopt parameters = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET,
		          .rate = bytes_per_s < UINT32_MAX ? (uint32_t)bytes_per_s : UINT32_MAX },
		.limit = burst < UINT32_MAX / QUEUE_BURSTS ? burst * QUEUE_BURSTS : UINT32_MAX,
	};
	struct nlattr *options = nla_nest_start(message, TCA_OPTIONS);

	if (!options)
		abort(); /* longer than a page: our own mistake */
	net_attr_put(message, TCA_TBF_PARMS, &parameters, sizeof(parameters));
	net_attr_put(message, TCA_TBF_BURST, &burst, sizeof(burst));
	if (bytes_per_s >= UINT32_MAX)
		net_attr_put(message, TCA_TBF_RATE64, &bytes_per_s, sizeof(bytes_per_s));
	nla_nest_end(message, options);
}

int rate_limit_set(struct net_socket *socket, int link, uint64_t bits_per_s, struct error *err)
{
	const struct tcmsg header = make_header(link);
	const uint64_t bytes_per_s = bits_per_s / BITS_PER_BYTE;
	struct nl_msg *message =
		net_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	int r;

	net_attr_put(message, TCA_KIND, KIND, sizeof(KIND));
	put_options(message, bytes_per_s ? bytes_per_s : 1);
	r = net_socket_request(socket, message, err);
	if (r == -EEXIST)
		return error_set(err, ERROR_ALREADY_EXISTS, "it has a root qdisc already");
	if (r == -ENOENT)
		return error_set(err, ERROR_UNIMPLEMENTED, "the kernel has no qdisc \"" KIND "\"");
	return r < 0 ? error_wrap(err, "cannot limit its rate") : 0;
}

int rate_limit_remove(struct net_socket *socket, int link, struct error *err)
{
	const struct tcmsg header = make_header(link);
	int r = net_socket_request(socket, net_message(RTM_DELQDISC, 0, &header, sizeof(header)),
	                           err);

	if (r == 0 || r == -ENOENT || r == -EINVAL || r == -ENODEV)
		return 0; /* of another handle, or the kernel's own */
	return error_wrap(err, "cannot remove the limit of its rate");
}
