#include "common/netlink/net_attr.h"

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/netlink/net_ip.h"

struct nl_msg *net_message(int type, int flags, const void *header, size_t len)
{
	struct nl_msg *message = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (!message || nlmsg_append(message, (void *)header, len, NLMSG_ALIGNTO) < 0)
		abort();
	return message;
}

uint32_t net_attr_u32(const struct nlattr *attr, uint32_t none)
{
	return attr && nla_len(attr) >= (int)sizeof(uint32_t) ? nla_get_u32(attr) : none;
}

uint8_t net_attr_u8(const struct nlattr *attr, uint8_t none)
{
	return attr && nla_len(attr) >= 1 ? nla_get_u8(attr) : none;
}

void net_attr_text(const struct nlattr *attr, char *out, size_t size)
{
	*out = '\0';
	if (attr)
		nla_strlcpy(out, attr, size);
}

struct net_ip net_attr_ip(const struct nlattr *attr, uint8_t family)
{
	struct net_ip ip = { .family = family };
	size_t size = net_ip_size(family);

	if (!attr || !size || nla_len(attr) < (int)size)
		return (struct net_ip){ 0 };
	memcpy(ip.bytes, nla_data(attr), size);
	return ip;
}

void net_attr_put(struct nl_msg *message, int type, const void *data, size_t len)
{
	if (nla_put(message, type, (int)len, data) < 0)
		abort();
}

void net_attr_put_u32(struct nl_msg *message, int type, uint32_t value)
{
	net_attr_put(message, type, &value, sizeof(value));
}

void net_attr_put_ip(struct nl_msg *message, int type, const struct net_ip *ip)
{
	if (net_ip_is_set(ip))
		net_attr_put(message, type, ip->bytes, net_ip_size(ip->family));
}

int net_attr_error(struct error *err, const char *what)
{
	return error_set(err, ERROR_INTERNAL, "unknown form of a %s", what);
}
