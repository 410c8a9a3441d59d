#include "common/netlink/net_rule.h"

#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/netlink/net_attr.h"
#include "common/netlink/net_socket.h"

static struct net_prefix take_prefix(struct nlattr *attr, uint8_t family, uint8_t len)
{
	struct net_prefix prefix = { .ip = net_attr_ip(attr, family), .len = len };

	prefix.ip.family = family;
	return prefix;
}

static bool take_range(struct nlattr *attr, void *out, size_t size)
{
	return attr && nla_memcpy(out, attr, (int)size) == (int)size;
}

static void take_matches(struct nlattr **attrs, struct net_rule *rule)
{
	rule->mark = net_attr_u32(attrs[FRA_FWMARK], 0);
	rule->mark_mask = net_attr_u32(attrs[FRA_FWMASK], 0);
	net_attr_text(attrs[FRA_IIFNAME], rule->in, sizeof(rule->in));
	net_attr_text(attrs[FRA_OIFNAME], rule->out, sizeof(rule->out));
	rule->ip_protocol = net_attr_u8(attrs[FRA_IP_PROTO], 0);
	rule->has_uids = take_range(attrs[FRA_UID_RANGE], &rule->uids, sizeof(rule->uids));
	rule->has_source_ports =
		take_range(attrs[FRA_SPORT_RANGE], &rule->source_ports, sizeof(rule->source_ports));
	rule->has_destination_ports = take_range(attrs[FRA_DPORT_RANGE], &rule->destination_ports,
	                                         sizeof(rule->destination_ports));
	rule->has_others = net_attr_u8(attrs[FRA_L3MDEV], 0) || attrs[FRA_TUN_ID] ||
	                   net_attr_u32(attrs[FRA_FLOW], 0);
}

static int parse_rule(struct nlmsghdr *header, void *item, struct error *err)
{
	const struct fib_rule_hdr *info = nlmsg_data(header);
	struct net_rule *rule = item;
	struct nlattr *attrs[FRA_MAX + 1];

	if (header->nlmsg_type != RTM_NEWRULE)
		return 0;
	if (nlmsg_parse(header, sizeof(*info), attrs, FRA_MAX, NULL) < 0)
		return net_attr_error(err, "rule");
	if (!net_ip_size(info->family))
		return 0; /* those of multicast routing have families of their own */
	rule->family = info->family;
	rule->source = take_prefix(attrs[FRA_SRC], info->family, info->src_len);
	rule->destination = take_prefix(attrs[FRA_DST], info->family, info->dst_len);
	rule->tos = info->tos;
	rule->action = info->action;
	rule->invert = info->flags & FIB_RULE_INVERT;
	rule->table = net_attr_u32(attrs[FRA_TABLE], info->table);
	rule->priority = net_attr_u32(attrs[FRA_PRIORITY], 0);
	rule->goto_priority = net_attr_u32(attrs[FRA_GOTO], 0);
	rule->protocol = net_attr_u8(attrs[FRA_PROTOCOL], 0);
	rule->suppress_prefix = (int32_t)net_attr_u32(attrs[FRA_SUPPRESS_PREFIXLEN], UINT32_MAX);
	rule->suppress_group = (int32_t)net_attr_u32(attrs[FRA_SUPPRESS_IFGROUP], UINT32_MAX);
	take_matches(attrs, rule);
	return 1;
}

int net_rule_list(struct net_socket *socket, struct net_rule **rules, size_t *n, struct error *err)
{
	struct fib_rule_hdr header = { .family = AF_UNSPEC };
	struct net_dump dump = {
		.what = "rules",
		.type = RTM_GETRULE,
		.header = &header,
		.header_len = sizeof(header),
		.item_size = sizeof(struct net_rule),
		.max = NET_RULES_MAX,
		.parse = parse_rule,
	};

	return net_socket_dump(socket, &dump, (void **)rules, n, err);
}

static bool matches_all(const struct net_rule *rule)
{
	return !rule->source.len && !rule->destination.len && !rule->tos && !rule->invert &&
	       !rule->mark && !rule->mark_mask && !*rule->in && !*rule->out && !rule->ip_protocol &&
	       !rule->has_uids && !rule->has_source_ports && !rule->has_destination_ports &&
	       rule->suppress_prefix < 0 && rule->suppress_group < 0 && !rule->has_others;
}

bool net_rule_is_default(const struct net_rule *rule)
{
	static const struct {
		uint32_t priority;
		uint32_t table;
	} own[] = { { 0, RT_TABLE_LOCAL }, { 32766, RT_TABLE_MAIN }, { 32767, RT_TABLE_DEFAULT } };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (rule->priority == own[i].priority && rule->table == own[i].table)
			return rule->action == FR_ACT_TO_TBL && matches_all(rule);
	return false;
}

static bool equal_ports(bool has, const struct fib_rule_port_range *a,
                        const struct fib_rule_port_range *b)
{
	return !has || (a->start == b->start && a->end == b->end);
}

static bool equal_matches(const struct net_rule *a, const struct net_rule *b)
{
	return net_prefix_equal(&a->source, &b->source) &&
	       net_prefix_equal(&a->destination, &b->destination) && a->tos == b->tos &&
	       a->invert == b->invert && a->mark == b->mark && a->mark_mask == b->mark_mask &&
	       !strcmp(a->in, b->in) && !strcmp(a->out, b->out) &&
	       a->ip_protocol == b->ip_protocol && a->has_uids == b->has_uids &&
	       (!a->has_uids || (a->uids.start == b->uids.start && a->uids.end == b->uids.end)) &&
	       a->has_source_ports == b->has_source_ports &&
	       equal_ports(a->has_source_ports, &a->source_ports, &b->source_ports) &&
	       a->has_destination_ports == b->has_destination_ports &&
	       equal_ports(a->has_destination_ports, &a->destination_ports, &b->destination_ports);
}

bool net_rule_equal(const struct net_rule *a, const struct net_rule *b)
{
	return a->family == b->family && a->priority == b->priority && a->action == b->action &&
	       a->table == b->table && a->goto_priority == b->goto_priority &&
	       a->protocol == b->protocol && a->suppress_prefix == b->suppress_prefix &&
	       a->suppress_group == b->suppress_group && equal_matches(a, b);
}

static void put_text(struct nl_msg *message, int type, const char *text)
{
	if (*text)
		net_attr_put(message, type, text, strlen(text) + 1);
}

static void put_number(struct nl_msg *message, int type, uint32_t value)
{
	if (value)
		net_attr_put_u32(message, type, value);
}

static void put_matches(struct nl_msg *message, const struct net_rule *rule)
{
	if (rule->source.len)
		net_attr_put_ip(message, FRA_SRC, &rule->source.ip);
	if (rule->destination.len)
		net_attr_put_ip(message, FRA_DST, &rule->destination.ip);
	put_number(message, FRA_FWMARK, rule->mark);
	if (rule->mark || rule->mark_mask)
		net_attr_put_u32(message, FRA_FWMASK, rule->mark_mask);
	put_text(message, FRA_IIFNAME, rule->in);
	put_text(message, FRA_OIFNAME, rule->out);
	if (rule->ip_protocol)
		net_attr_put(message, FRA_IP_PROTO, &rule->ip_protocol, sizeof(rule->ip_protocol));
	if (rule->has_uids)
		net_attr_put(message, FRA_UID_RANGE, &rule->uids, sizeof(rule->uids));
	if (rule->has_source_ports)
		net_attr_put(message, FRA_SPORT_RANGE, &rule->source_ports,
		             sizeof(rule->source_ports));
	if (rule->has_destination_ports)
		net_attr_put(message, FRA_DPORT_RANGE, &rule->destination_ports,
		             sizeof(rule->destination_ports));
}

static struct nl_msg *new_message(int type, int flags, const struct net_rule *rule)
{
	struct fib_rule_hdr header = {
		.family = rule->family,
		.dst_len = rule->destination.len,
		.src_len = rule->source.len,
		.tos = rule->tos,
		.action = rule->action,
		.flags = rule->invert ? FIB_RULE_INVERT : 0,
	};
	struct nl_msg *message = net_message(type, flags, &header, sizeof(header));

	put_matches(message, rule);
	put_number(message, FRA_TABLE, rule->table);
	net_attr_put_u32(message, FRA_PRIORITY, rule->priority);
	put_number(message, FRA_GOTO, rule->goto_priority);
	if (rule->protocol)
		net_attr_put(message, FRA_PROTOCOL, &rule->protocol, sizeof(rule->protocol));
	if (rule->suppress_prefix >= 0)
		net_attr_put_u32(message, FRA_SUPPRESS_PREFIXLEN, (uint32_t)rule->suppress_prefix);
	if (rule->suppress_group >= 0)
		net_attr_put_u32(message, FRA_SUPPRESS_IFGROUP, (uint32_t)rule->suppress_group);
	return message;
}

int net_rule_add(struct net_socket *socket, const struct net_rule *rule, struct error *err)
{
	return net_socket_request(socket, new_message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule),
	                          err);
}

int net_rule_delete(struct net_socket *socket, const struct net_rule *rule, struct error *err)
{
	return net_socket_request(socket, new_message(RTM_DELRULE, 0, rule), err);
}
