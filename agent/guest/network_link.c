#include "agent/guest/network_link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/guest/network_device.h"
#include "agent/guest/network_settings.h"
#include "agent/guest/pci_path.h"
#include "common/error.h"
#include "common/mem.h"
#include "common/netlink/net_state.h"
#include "proto/limits.h"
#include "proto/network/network_parse.h"

static int parse_addresses(const Types__Interface *message, struct network_link *wanted,
                           struct error *err)
{
	int r = 0;

	if (message->n_ipaddresses > LIMIT_ADDRESSES)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%zu addresses: the limit is %d",
		                 message->n_ipaddresses, LIMIT_ADDRESSES);
	wanted->addresses = mem_alloc((message->n_ipaddresses + 1) * sizeof(*wanted->addresses));
	for (size_t i = 0; i < message->n_ipaddresses && r == 0; i++) {
		struct net_address *one = &wanted->addresses[i];

		r = network_address_parse(message->ipaddresses[i], one, err);
		if (r == 0 && one->own.ip.family == AF_INET6)
			one->flags |= IFA_F_NODAD;
		wanted->n_addresses++;
	}
	return r;
}

int network_link_parse(const Types__Interface *message, struct network_link *out, struct error *err)
{
	struct network_link wanted = {
		.device_path = message->devicepath,
		.name = message->name,
		.mtu = (uint32_t)message->mtu,
		.no_arp = message->raw_flags & IFF_NOARP,
		.settings = message->settings,
		.n_settings = message->n_settings,
	};
	int r = 0;

	if (*wanted.name && !net_link_name_is_valid(wanted.name))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid name \"%s\"", wanted.name);
	if (message->mtu > INT32_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid mtu %llu",
		                 (unsigned long long)message->mtu);
	if (*message->hwaddr)
		r = net_mac_parse(message->hwaddr, &wanted.mac, err);
	if (r == 0)
		r = network_settings_check(message, err);
	if (r == 0)
		r = parse_addresses(message, &wanted, err);
	if (r < 0)
		network_link_fini(&wanted);
	else
		*out = wanted;
	return r;
}

void network_link_fini(struct network_link *wanted)
{
	free(take_ptr(&wanted->addresses));
}

static bool is_card(const struct net_link *link)
{
	return !*link->kind && !(link->flags & IFF_LOOPBACK);
}

static int find_by_path(const struct network_link *wanted, const struct net_state *state,
                        const struct net_link **out, struct error *err)
{
	char name[IFNAMSIZ];
	int r = network_device_find(PCI_PATH_SYSFS, wanted->device_path, name, err);

	if (r < 0)
		return r;
	*out = net_link_by_name(state->links, state->n_links, name);
	return *out ? 0
	            : error_set(err, ERROR_NOT_FOUND, "no network card at \"%s\"",
	                        wanted->device_path);
}

static int find_by_mac(const struct network_link *wanted, const struct net_state *state,
                       const struct net_link **out, struct error *err)
{
	const struct net_link *found = NULL;
	char text[NET_MAC_TEXT_MAX];

	for (size_t i = 0; i < state->n_links; i++) {
		const struct net_link *link = &state->links[i];

		if (!net_mac_equal(&link->mac, &wanted->mac) || link->flags & IFF_LOOPBACK)
			continue;
		if (found && is_card(found) && is_card(link))
			return error_set(err, ERROR_FAILED_PRECONDITION,
			                 "\"%s\" and \"%s\" have the MAC address \"%s\"",
			                 found->name, link->name, net_mac_text(&wanted->mac, text));
		if (!found || is_card(link))
			found = link;
	}
	if (!found)
		return error_set(err, ERROR_NOT_FOUND, "no link with the MAC address \"%s\"",
		                 net_mac_text(&wanted->mac, text));
	*out = found;
	return 0;
}

int network_link_find(const struct network_link *wanted, const struct net_state *state,
                      const struct net_link **out, struct error *err)
{
	if (*wanted->device_path)
		return find_by_path(wanted, state, out, err);
	if (wanted->mac.len)
		return find_by_mac(wanted, state, out, err);
	return network_link_find_by_name(wanted, state, out, err);
}

int network_link_find_by_name(const struct network_link *wanted, const struct net_state *state,
                              const struct net_link **out, struct error *err)
{
	const struct net_link *link = net_link_by_name(state->links, state->n_links, wanted->name);

	if (!link || (wanted->mac.len && link->flags & IFF_UP))
		return error_set(err, ERROR_NOT_FOUND, "no link \"%s\"", wanted->name);
	*out = link;
	return 0;
}

static int set_name(struct net_socket *socket, int index, const char *name, struct error *err)
{
	struct net_link_change change = { .name = name };

	return net_link_set(socket, index, &change, err);
}

/* Who has the name gets that of @link: not both at once can be done. */
static int take_name(struct net_socket *socket, const char *name, const struct net_state *state,
                     const struct net_link *link, struct error *err)
{
	const struct net_link *other = net_link_by_name(state->links, state->n_links, name);
	char free_name[IFNAMSIZ];
	int r;

	if (other) {
		snprintf(free_name, sizeof(free_name), "swap%d", other->index);
		r = set_name(socket, other->index, free_name, err);
		if (r < 0)
			return error_wrap(err, "cannot rename the link that has the name");
	}
	r = set_name(socket, link->index, name, err);
	if (r < 0)
		error_wrap(err, "cannot rename \"%s\"", link->name);
	if (other) /* whatever came of it, it does not keep that name */
		set_name(socket, other->index, r < 0 ? name : link->name, NULL);
	return r;
}

static int set_down(struct net_socket *socket, const struct net_link *link, struct error *err)
{
	struct net_link_change down = { .flags_mask = IFF_UP };

	if (!(link->flags & IFF_UP))
		return 0;
	if (net_link_set(socket, link->index, &down, err) < 0)
		return error_wrap(err, "cannot bring \"%s\" down", link->name);
	return 0;
}

/* A link that is up can neither be renamed nor, with most drivers, get another MAC address. */
static int set_identity(struct net_socket *socket, const struct network_link *wanted,
                        const struct net_state *state, const struct net_link *link,
                        struct error *err)
{
	bool renames = *wanted->name && strcmp(wanted->name, link->name) != 0;
	struct net_link_change change = { 0 };
	int r;

	if (wanted->mac.len && !net_mac_equal(&wanted->mac, &link->mac))
		change.mac = wanted->mac;
	if (!renames && !change.mac.len)
		return 0;
	r = set_down(socket, link, err);
	if (r == 0 && change.mac.len && net_link_set(socket, link->index, &change, err) < 0)
		r = error_wrap(err, "cannot set the MAC address");
	if (r == 0 && renames)
		r = take_name(socket, wanted->name, state, link, err);
	return r;
}

static int set_up(struct net_socket *socket, const struct network_link *wanted,
                  const struct net_link *link, struct error *err)
{
	struct net_link_change change = {
		.mtu = wanted->mtu == link->mtu ? 0 : wanted->mtu,
		.flags = wanted->no_arp ? IFF_NOARP : 0,
		.flags_mask = IFF_NOARP,
		.no_link_local = true,
	};
	struct net_link_change up = { .flags = IFF_UP, .flags_mask = IFF_UP };

	if (net_link_set(socket, link->index, &change, err) < 0)
		return error_wrap(err, "cannot set mtu %u and flags", wanted->mtu);
	if (net_link_set(socket, link->index, &up, err) < 0)
		return error_wrap(err, "cannot bring it up");
	return 0;
}

/* Those that a change of the address does not change. A label is the kernel's where none is wanted. */
static bool is_same(const struct net_address *one, const struct net_address *wanted)
{
	return net_prefix_equal(&one->own, &wanted->own) &&
	       net_ip_equal(&one->peer, &wanted->peer) &&
	       net_ip_equal(&one->broadcast, &wanted->broadcast) &&
	       (one->own.ip.family == AF_INET6 || one->scope == wanted->scope) &&
	       (!*wanted->label || !strcmp(one->label, wanted->label)) &&
	       !((one->flags ^ wanted->flags) & IFA_F_NOPREFIXROUTE) &&
	       !(one->flags & IFA_F_TENTATIVE);
}

static bool is_wanted(const struct network_link *wanted, const struct net_address *one)
{
	for (size_t i = 0; i < wanted->n_addresses; i++)
		if (is_same(one, &wanted->addresses[i]))
			return true;
	return false;
}

/* One may have gone with another, as a secondary one does, or with the link when it was down. */
static int delete_others(struct net_socket *socket, const struct network_link *wanted,
                         const struct net_state *state, int index, struct error *err)
{
	char text[NET_PREFIX_TEXT_MAX];

	for (size_t i = 0; i < state->n_addresses; i++) {
		const struct net_address *one = &state->addresses[i];
		int r;

		if (one->link != index || is_wanted(wanted, one))
			continue;
		r = net_address_delete(socket, one, err);
		if (r < 0 && r != -EADDRNOTAVAIL)
			return error_wrap(err, "cannot delete the address %s",
			                  net_prefix_text(&one->own, text));
	}
	return 0;
}

static int add_addresses(struct net_socket *socket, const struct network_link *wanted, int index,
                         struct error *err)
{
	char text[NET_PREFIX_TEXT_MAX];

	for (size_t i = 0; i < wanted->n_addresses; i++) {
		struct net_address one = wanted->addresses[i];
		int r;

		one.link = index;
		r = net_address_add(socket, &one, err);
		if (r == -EACCES && one.own.ip.family == AF_INET6)
			continue; /* net.ipv6.conf.<link>.disable_ipv6 (addrconf_add_dev()) */
		if (r < 0)
			return error_wrap(err, "cannot add the address %s",
			                  net_prefix_text(&one.own, text));
	}
	return 0;
}

int network_link_apply(struct net_socket *socket, const struct network_link *wanted,
                       const struct net_state *state, const struct net_link *link,
                       struct error *err)
{
	int r;

	if (link->flags & IFF_LOOPBACK)
		return error_set(err, ERROR_INVALID_ARGUMENT, "it is the loopback interface");
	r = set_identity(socket, wanted, state, link, err);
	if (r == 0)
		r = delete_others(socket, wanted, state, link->index, err);
	if (r == 0)
		network_settings_apply(wanted->settings, wanted->n_settings,
		                       *wanted->name ? wanted->name : link->name);
	if (r == 0)
		r = set_up(socket, wanted, link, err);
	if (r == 0)
		r = add_addresses(socket, wanted, link->index, err);
	return r;
}
