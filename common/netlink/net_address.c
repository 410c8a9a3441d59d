#include "common/netlink/net_address.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/netlink/net_attr.h"
#include "common/netlink/net_socket.h"

/* IFA_ADDRESS is the peer's where it differs from IFA_LOCAL; IPv6 has no IFA_LOCAL without one. */
static void take_addresses(struct nlattr **attrs, uint8_t family, struct net_address *out)
{
	struct net_ip local = net_attr_ip(attrs[IFA_LOCAL], family);
	struct net_ip address = net_attr_ip(attrs[IFA_ADDRESS], family);

	out->own.ip = net_ip_is_set(&local) ? local : address;
	if (net_ip_is_set(&local) && net_ip_is_set(&address) && !net_ip_equal(&local, &address))
		out->peer = address;
	out->broadcast = net_attr_ip(attrs[IFA_BROADCAST], family);
}

static int parse_address(struct nlmsghdr *header, void *item, struct error *err)
{
	const struct ifaddrmsg *info = nlmsg_data(header);
	struct net_address *address = item;
	struct nlattr *attrs[IFA_MAX + 1];
	struct ifa_cacheinfo lifetimes = { UINT32_MAX, UINT32_MAX, 0, 0 };

	if (header->nlmsg_type != RTM_NEWADDR)
		return 0;
	if (nlmsg_parse(header, sizeof(*info), attrs, IFA_MAX, NULL) < 0)
		return net_attr_error(err, "address");
	if (!net_ip_size(info->ifa_family))
		return 0;
	take_addresses(attrs, info->ifa_family, address);
	address->link = (int)info->ifa_index;
	address->own.len = info->ifa_prefixlen;
	address->scope = info->ifa_scope;
	address->flags = net_attr_u32(attrs[IFA_FLAGS], info->ifa_flags);
	address->metric = net_attr_u32(attrs[IFA_RT_PRIORITY], 0);
	if (attrs[IFA_CACHEINFO])
		nla_memcpy(&lifetimes, attrs[IFA_CACHEINFO], sizeof(lifetimes));
	address->preferred_s = lifetimes.ifa_prefered;
	address->valid_s = lifetimes.ifa_valid;
	net_attr_text(attrs[IFA_LABEL], address->label, sizeof(address->label));
	return net_ip_is_set(&address->own.ip);
}

int net_address_list(struct net_socket *socket, struct net_address **addresses, size_t *n,
                     struct error *err)
{
	struct ifaddrmsg header = { .ifa_family = AF_UNSPEC };
	struct net_dump dump = {
		.what = "addresses",
		.type = RTM_GETADDR,
		.header = &header,
		.header_len = sizeof(header),
		.item_size = sizeof(struct net_address),
		.max = NET_ADDRESSES_MAX,
		.parse = parse_address,
	};

	return net_socket_dump(socket, &dump, (void **)addresses, n, err);
}

static struct nl_msg *new_message(int type, int flags, const struct net_address *address)
{
	struct ifaddrmsg header = {
		.ifa_family = address->own.ip.family,
		.ifa_prefixlen = address->own.len,
		.ifa_scope = address->scope,
		.ifa_index = (unsigned int)address->link,
	};
	struct nl_msg *message = net_message(type, flags, &header, sizeof(header));
	const struct net_ip *peer =
		net_ip_is_set(&address->peer) ? &address->peer : &address->own.ip;

	net_attr_put_ip(message, IFA_LOCAL, &address->own.ip);
	net_attr_put_ip(message, IFA_ADDRESS, peer);
	return message;
}

int net_address_add(struct net_socket *socket, const struct net_address *address, struct error *err)
{
	struct nl_msg *message = new_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address);
	struct ifa_cacheinfo lifetimes = {
		.ifa_prefered = address->preferred_s,
		.ifa_valid = address->valid_s,
	};

	net_attr_put_ip(message, IFA_BROADCAST, &address->broadcast);
	net_attr_put_u32(message, IFA_FLAGS, address->flags);
	if (address->metric)
		net_attr_put_u32(message, IFA_RT_PRIORITY, address->metric);
	if (address->preferred_s != UINT32_MAX || address->valid_s != UINT32_MAX)
		net_attr_put(message, IFA_CACHEINFO, &lifetimes, sizeof(lifetimes));
	if (*address->label)
		net_attr_put(message, IFA_LABEL, address->label, strlen(address->label) + 1);
	return net_socket_request(socket, message, err);
}

int net_address_delete(struct net_socket *socket, const struct net_address *address,
                       struct error *err)
{
	return net_socket_request(socket, new_message(RTM_DELADDR, 0, address), err);
}
