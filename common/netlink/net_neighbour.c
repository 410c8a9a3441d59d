#include "common/netlink/net_neighbour.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/netlink/net_attr.h"
#include "common/netlink/net_socket.h"

static int parse_neighbour(struct nlmsghdr *header, void *item, struct error *err)
{
	const struct ndmsg *info = nlmsg_data(header);
	struct net_neighbour *neighbour = item;
	struct nlattr *attrs[NDA_MAX + 1];

	if (header->nlmsg_type != RTM_NEWNEIGH)
		return 0;
	if (nlmsg_parse(header, sizeof(*info), attrs, NDA_MAX, NULL) < 0)
		return net_attr_error(err, "neighbour");
	if (!net_ip_size(info->ndm_family) || info->ndm_flags & NTF_PROXY)
		return 0;
	neighbour->link = info->ndm_ifindex;
	neighbour->ip = net_attr_ip(attrs[NDA_DST], info->ndm_family);
	neighbour->state = info->ndm_state;
	neighbour->flags = info->ndm_flags;
	if (attrs[NDA_LLADDR] && nla_len(attrs[NDA_LLADDR]) <= NET_MAC_MAX)
		neighbour->mac.len = (uint8_t)nla_memcpy(neighbour->mac.bytes, attrs[NDA_LLADDR],
		                                         sizeof(neighbour->mac.bytes));
	return net_ip_is_set(&neighbour->ip);
}

int net_neighbour_list(struct net_socket *socket, struct net_neighbour **neighbours, size_t *n,
                       struct error *err)
{
	struct ndmsg header = { .ndm_family = AF_UNSPEC };
	struct net_dump dump = {
		.what = "neighbours",
		.type = RTM_GETNEIGH,
		.header = &header,
		.header_len = sizeof(header),
		.item_size = sizeof(struct net_neighbour),
		.max = NET_NEIGHBOURS_MAX,
		.parse = parse_neighbour,
	};

	return net_socket_dump(socket, &dump, (void **)neighbours, n, err);
}

static struct nl_msg *new_message(int type, int flags, const struct net_neighbour *neighbour)
{
	struct ndmsg header = {
		.ndm_family = neighbour->ip.family,
		.ndm_ifindex = neighbour->link,
		.ndm_state = neighbour->state,
		.ndm_flags = neighbour->flags,
	};
	struct nl_msg *message = net_message(type, flags, &header, sizeof(header));

	net_attr_put_ip(message, NDA_DST, &neighbour->ip);
	if (neighbour->mac.len)
		net_attr_put(message, NDA_LLADDR, neighbour->mac.bytes, neighbour->mac.len);
	return message;
}

int net_neighbour_add(struct net_socket *socket, const struct net_neighbour *neighbour,
                      struct error *err)
{
	return net_socket_request(
		socket, new_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, neighbour), err);
}

int net_neighbour_delete(struct net_socket *socket, const struct net_neighbour *neighbour,
                         struct error *err)
{
	return net_socket_request(socket, new_message(RTM_DELNEIGH, 0, neighbour), err);
}
