#include "common/netlink/net_link.h"

#include <ctype.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/netlink/net_attr.h"
#include "common/netlink/net_socket.h"

static void take_counters(struct nlattr *attr, struct net_link_counters *out)
{
	struct rtnl_link_stats64 stats = { 0 };

	nla_memcpy(&stats, attr, sizeof(stats));
	*out = (struct net_link_counters){
		.rx_packets = stats.rx_packets,
		.rx_bytes = stats.rx_bytes,
		.rx_errors = stats.rx_errors,
		.rx_dropped = stats.rx_dropped,
		.tx_packets = stats.tx_packets,
		.tx_bytes = stats.tx_bytes,
		.tx_errors = stats.tx_errors,
		.tx_dropped = stats.tx_dropped,
	};
}

static void take_kind(struct nlattr *attr, struct net_link *link)
{
	struct nlattr *info[IFLA_INFO_MAX + 1];
	struct nlattr *data[IFLA_TUN_MAX + 1];

	if (nla_parse_nested(info, IFLA_INFO_MAX, attr, NULL) < 0)
		return;
	net_attr_text(info[IFLA_INFO_KIND], link->kind, sizeof(link->kind));
	if (strcmp(link->kind, "tun") != 0 || !info[IFLA_INFO_DATA] ||
	    nla_parse_nested(data, IFLA_TUN_MAX, info[IFLA_INFO_DATA], NULL) < 0)
		return;
	link->is_tun = data[IFLA_TUN_TYPE] && nla_get_u8(data[IFLA_TUN_TYPE]) == IFF_TUN;
}

static void take_mac(struct nlattr *attr, struct net_mac *out)
{
	if (attr && nla_len(attr) <= NET_MAC_MAX)
		out->len = (uint8_t)nla_memcpy(out->bytes, attr, sizeof(out->bytes));
}

static int parse_link(struct nlmsghdr *header, void *item, struct error *err)
{
	const struct ifinfomsg *info = nlmsg_data(header);
	struct net_link *link = item;
	struct nlattr *attrs[IFLA_MAX + 1];

	if (header->nlmsg_type != RTM_NEWLINK)
		return 0;
	if (nlmsg_parse(header, sizeof(*info), attrs, IFLA_MAX, NULL) < 0)
		return net_attr_error(err, "link");
	link->index = info->ifi_index;
	link->type = info->ifi_type;
	link->flags = info->ifi_flags;
	net_attr_text(attrs[IFLA_IFNAME], link->name, sizeof(link->name));
	net_attr_text(attrs[IFLA_IFALIAS], link->alias, sizeof(link->alias));
	net_attr_text(attrs[IFLA_PARENT_DEV_BUS_NAME], link->bus, sizeof(link->bus));
	net_attr_text(attrs[IFLA_PARENT_DEV_NAME], link->device, sizeof(link->device));
	link->mtu = net_attr_u32(attrs[IFLA_MTU], 0);
	link->lower = (int)net_attr_u32(attrs[IFLA_LINK], 0);
	link->lower_netns = (int)net_attr_u32(attrs[IFLA_LINK_NETNSID], (uint32_t)-1);
	link->master = (int)net_attr_u32(attrs[IFLA_MASTER], 0);
	take_mac(attrs[IFLA_ADDRESS], &link->mac);
	if (attrs[IFLA_LINKINFO])
		take_kind(attrs[IFLA_LINKINFO], link);
	if (attrs[IFLA_STATS64])
		take_counters(attrs[IFLA_STATS64], &link->counters);
	return 1;
}

int net_link_list(struct net_socket *socket, struct net_link **links, size_t *n, struct error *err)
{
	struct ifinfomsg header = { .ifi_family = AF_UNSPEC };
	struct net_dump dump = {
		.what = "links",
		.type = RTM_GETLINK,
		.header = &header,
		.header_len = sizeof(header),
		.item_size = sizeof(struct net_link),
		.max = NET_LINKS_MAX,
		.parse = parse_link,
	};

	return net_socket_dump(socket, &dump, (void **)links, n, err);
}

const struct net_link *net_link_by_index(const struct net_link *links, size_t n, int index)
{
	for (size_t i = 0; i < n; i++)
		if (links[i].index == index)
			return &links[i];
	return NULL;
}

const struct net_link *net_link_by_name(const struct net_link *links, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(links[i].name, name))
			return &links[i];
	return NULL;
}

const struct net_link *net_link_by_mac(const struct net_link *links, size_t n,
                                       const struct net_mac *mac)
{
	for (size_t i = 0; i < n; i++)
		if (net_mac_equal(&links[i].mac, mac))
			return &links[i];
	return NULL;
}

/* A request of its own: of one message the kernel sets the flags first. */
static int stop_link_local(struct net_socket *socket, int index, struct error *err)
{
	struct ifinfomsg header = { .ifi_index = index };
	struct nl_msg *message = net_message(RTM_NEWLINK, 0, &header, sizeof(header));
	struct nlattr *families = nla_nest_start(message, IFLA_AF_SPEC);
	struct nlattr *family = families ? nla_nest_start(message, AF_INET6) : NULL;
	int r;

	if (!family)
		abort();
	nla_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nla_nest_end(message, family);
	nla_nest_end(message, families);
	r = net_socket_request(socket, message, err);
	return r == -EAFNOSUPPORT ? 0 : r; /* a kernel without IPv6 */
}

int net_link_set(struct net_socket *socket, int index, const struct net_link_change *change,
                 struct error *err)
{
	struct ifinfomsg header = {
		.ifi_index = index,
		.ifi_flags = change->flags,
		.ifi_change = change->flags_mask,
	};
	struct nl_msg *message;
	int r;

	r = change->no_link_local ? stop_link_local(socket, index, err) : 0;
	if (r < 0)
		return r;
	message = net_message(RTM_NEWLINK, 0, &header, sizeof(header));
	if (change->name)
		net_attr_put(message, IFLA_IFNAME, change->name, strlen(change->name) + 1);
	if (change->alias)
		net_attr_put(message, IFLA_IFALIAS, change->alias, strlen(change->alias) + 1);
	if (change->mac.len)
		net_attr_put(message, IFLA_ADDRESS, change->mac.bytes, change->mac.len);
	if (change->mtu)
		net_attr_put_u32(message, IFLA_MTU, change->mtu);
	if (change->master)
		net_attr_put_u32(message, IFLA_MASTER,
		                 change->master < 0 ? 0 : (uint32_t)change->master);
	return net_socket_request(socket, message, err);
}

int net_link_delete(struct net_socket *socket, int index, struct error *err)
{
	struct ifinfomsg header = { .ifi_index = index };

	return net_socket_request(socket, net_message(RTM_DELLINK, 0, &header, sizeof(header)),
	                          err);
}

bool net_link_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name == '/' || *name == ':' || isspace((unsigned char)*name))
			return false;
	return true;
}

bool net_mac_equal(const struct net_mac *a, const struct net_mac *b)
{
	return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

int net_mac_parse(const char *text, struct net_mac *out, struct error *err)
{
	struct net_mac mac = { .len = 0 };
	const char *rest = text;
	unsigned int byte;

	while (mac.len < NET_MAC_MAX && isxdigit((unsigned char)rest[0]) &&
	       isxdigit((unsigned char)rest[1]) && sscanf(rest, "%2x", &byte) == 1) {
		mac.bytes[mac.len++] = (uint8_t)byte;
		rest += 2;
		if (!*rest) {
			*out = mac;
			return 0;
		}
		if (*rest++ != ':')
			break;
	}
	return error_set(err, ERROR_INVALID_ARGUMENT, "invalid MAC address \"%s\"", text);
}

const char *net_mac_text(const struct net_mac *mac, char text[NET_MAC_TEXT_MAX])
{
	size_t at = 0;

	*text = '\0';
	for (size_t i = 0; i < mac->len; i++)
		at += (size_t)snprintf(text + at, NET_MAC_TEXT_MAX - at, "%s%02x", i ? ":" : "",
		                       mac->bytes[i]);
	return text;
}
