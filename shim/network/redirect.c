#include "shim/network/redirect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/netlink/net_attr.h"
#include "common/netlink/net_link.h"
#include "common/netlink/net_socket.h"
#include "shim/network/rate_limit.h"

#define HANDLE      TC_H_MAKE(TC_H_INGRESS, 0) /* ffff:, as every ingress qdisc has */
#define KIND        "ingress"
#define FILTER_KIND "u32"
#define ACTION_KIND "mirred"
#define ACTIONS_MAX TCA_ACT_MAX_PRIO

/* What tells ours from those of others: nobody chooses such a priority by
 * chance. */
#define PRIORITY 0x4b41

#define FILTERS_MAX 1024 /* of a link */

static struct tcmsg qdisc_header(int link)
{
	return (struct tcmsg){
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = link,
		.tcm_handle = HANDLE,
		.tcm_parent = TC_H_INGRESS,
	};
}

static int add_qdisc(struct net_socket *socket, int link, struct error *err)
{
	const struct tcmsg header = qdisc_header(link);
	struct nl_msg *message =
		net_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	int r;

	net_attr_put(message, TCA_KIND, KIND, sizeof(KIND));
	r = net_socket_request(socket, message, err);
	if (r == -EEXIST)
		return error_set(err, ERROR_ALREADY_EXISTS, "it has an ingress qdisc already");
	return r < 0 ? error_wrap(err, "cannot add an ingress qdisc") : 0;
}

static int delete_qdisc(struct net_socket *socket, int link, struct error *err)
{
	const struct tcmsg header = qdisc_header(link);

	return net_socket_request(socket, net_message(RTM_DELQDISC, 0, &header, sizeof(header)),
	                          err);
}

static struct nlattr *begin(struct nl_msg *message, int type)
{
	struct nlattr *nest = nla_nest_start(message, type);

	if (!nest)
		abort(); /* longer than a page: our own mistake */
	return nest;
}

static void put_action(struct nl_msg *message, int to)
{
	const struct tc_mirred redirect = {
		.action = TC_ACT_STOLEN,
		.eaction = TCA_EGRESS_REDIR,
		.ifindex = (uint32_t)to,
	};
	struct nlattr *actions = begin(message, TCA_U32_ACT);
	struct nlattr *first = begin(message, 1);
	struct nlattr *options;

	net_attr_put(message, TCA_ACT_KIND, ACTION_KIND, sizeof(ACTION_KIND));
	options = begin(message, TCA_ACT_OPTIONS);
	net_attr_put(message, TCA_MIRRED_PARMS, &redirect, sizeof(redirect));
	nla_nest_end(message, options);
	nla_nest_end(message, first);
	nla_nest_end(message, actions);
}

/* One key that is true of every packet: no bit of its first four bytes counts.
 */
static void put_selector(struct nl_msg *message)
{
	struct {
		struct tc_u32_sel selector;
		struct tc_u32_key key;
	} everything = { .selector = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };

	net_attr_put(message, TCA_U32_SEL, &everything, sizeof(everything));
}

static int add_filter(struct net_socket *socket, int from, int to, struct error *err)
{
	const struct tcmsg header = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = from,
		.tcm_parent = HANDLE,
		.tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL)),
	};
	struct nl_msg *message =
		net_message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	struct nlattr *options;

	net_attr_put(message, TCA_KIND, FILTER_KIND, sizeof(FILTER_KIND));
	options = begin(message, TCA_OPTIONS);
	put_selector(message);
	put_action(message, to);
	nla_nest_end(message, options);
	if (net_socket_request(socket, message, err) < 0)
		return error_wrap(err, "cannot add a redirecting filter");
	return 0;
}

static int redirect_one_way(struct net_socket *socket, int from, int to, struct error *err)
{
	int r = add_qdisc(socket, from, err);

	if (r < 0)
		return r;
	r = add_filter(socket, from, to, err);
	if (r < 0)
		delete_qdisc(socket, from, NULL);
	return r;
}

int redirect_make(struct net_socket *socket, int link, int tap, struct error *err)
{
	int r = redirect_one_way(socket, tap, link, err);

	if (r < 0)
		return r;
	r = redirect_one_way(socket, link, tap, err);
	if (r < 0)
		delete_qdisc(socket, tap, NULL);
	return r;
}

int redirect_remove(struct net_socket *socket, int link, struct error *err)
{
	int r = delete_qdisc(socket, link, err);

	if (r == 0 || r == -ENOENT || r == -EINVAL || r == -ENODEV)
		return 0; /* the link has gone, or somebody else has removed the qdisc */
	return error_wrap(err, "cannot remove the ingress qdisc");
}

/* A filter of ours. */
struct filter {
	uint32_t to; /* the index of its tap; 0: that has gone */
};

/* The index that the only action of a filter redirects to; 0: nowhere. */
static uint32_t redirect_target(struct nlattr *attr)
{
	struct nlattr *filter[TCA_U32_MAX + 1], *actions[ACTIONS_MAX + 1];
	struct nlattr *action[TCA_ACT_MAX + 1], *mirred[TCA_MIRRED_MAX + 1];
	const struct tc_mirred *redirect;

	if (!attr || nla_parse_nested(filter, TCA_U32_MAX, attr, NULL) < 0 ||
	    !filter[TCA_U32_ACT] ||
	    nla_parse_nested(actions, ACTIONS_MAX, filter[TCA_U32_ACT], NULL) < 0 || !actions[1] ||
	    nla_parse_nested(action, TCA_ACT_MAX, actions[1], NULL) < 0 ||
	    !action[TCA_ACT_OPTIONS] ||
	    nla_parse_nested(mirred, TCA_MIRRED_MAX, action[TCA_ACT_OPTIONS], NULL) < 0 ||
	    !mirred[TCA_MIRRED_PARMS] || nla_len(mirred[TCA_MIRRED_PARMS]) < (int)sizeof(*redirect))
		return 0;
	redirect = nla_data(mirred[TCA_MIRRED_PARMS]);
	return redirect->ifindex;
}

/* The kernel lists the hash tables of u32 as well: those have no action. */
static int parse_filter(struct nlmsghdr *header, void *item, struct error *err)
{
	struct nlattr *attrs[TCA_MAX + 1], *options[TCA_U32_MAX + 1];
	const struct tcmsg *tc = nlmsg_data(header);
	struct filter *filter = item;

	if (!nlmsg_valid_hdr(header, sizeof(*tc)) ||
	    nlmsg_parse(header, sizeof(*tc), attrs, TCA_MAX, NULL) < 0)
		return net_attr_error(err, "filter");
	if (TC_H_MAJ(tc->tcm_info) >> 16 != PRIORITY || !attrs[TCA_OPTIONS] ||
	    nla_parse_nested(options, TCA_U32_MAX, attrs[TCA_OPTIONS], NULL) < 0 ||
	    !options[TCA_U32_ACT])
		return 0;
	filter->to = redirect_target(attrs[TCA_OPTIONS]);
	return 1;
}

/* The filters of ours on @link; there is one, or none. */
static int find_filters(struct net_socket *socket, int link, struct filter **filters, size_t *n,
                        struct error *err)
{
	const struct tcmsg header = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = link,
		.tcm_parent = HANDLE,
	};
	const struct net_dump dump = {
		.what = "filters",
		.type = RTM_GETTFILTER,
		.header = &header,
		.header_len = sizeof(header),
		.item_size = sizeof(struct filter),
		.max = FILTERS_MAX,
		.parse = parse_filter,
	};

	return net_socket_dump(socket, &dump, (void **)filters, n, err);
}

/* 1: @link is redirected to a tap of @pod. */
static int sweep_link(struct net_socket *socket, int link, const struct net_link *links,
                      size_t n_links, const char *pod, struct error *err)
{
	autofree struct filter *filters = NULL;
	const struct net_link *tap;
	size_t n = 0;
	int r = find_filters(socket, link, &filters, &n, err);

	if (r < 0 || !n)
		return r;
	tap = net_link_by_index(links, n_links, (int)filters[0].to);
	if (tap)
		return pod && !strcmp(tap->alias, pod);
	r = rate_limit_remove(socket, link, err);
	return r < 0 ? r : redirect_remove(socket, link, err);
}

int redirect_sweep(struct net_socket *socket, const char *pod, struct error *err)
{
	autofree struct net_link *links = NULL;
	size_t n = 0;
	int r = net_link_list(socket, &links, &n, err);
	int found = 0;

	for (size_t i = 0; i < n && r >= 0; i++) {
		r = sweep_link(socket, links[i].index, links, n, pod, err);
		if (r < 0)
			error_wrap(err, "link \"%s\"", links[i].name);
		else
			found += r;
	}
	return r < 0 ? r : found;
}
