#include "shim/network/nic.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/netlink/net_attr.h"
#include "common/netlink/net_link.h"
#include "common/netlink/net_socket.h"
#include "hypervisor/vm_device.h"
#include "shim/network/rate_limit.h"
#include "shim/network/redirect.h"
#include "shim/network/tap.h"
#include "shim/network/vhost_net.h"

struct nic {
	struct net_socket *socket;
	struct net_link link;
	char id[VM_DEVICE_ID_MAX + 1];
	struct tap *tap;
	int vhost[TAP_QUEUES_MAX];
	bool has_vhost, joined, limited;
};

/* With an address of its own the tap would speak to the guest: neighbour discovery, router
 * solicitations. A kernel without IPv6 gives it none. */
static int suppress_addresses(struct net_socket *socket, int index, struct error *err)
{
	const struct ifinfomsg header = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	const uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
	struct nl_msg *message = net_message(RTM_SETLINK, 0, &header, sizeof(header));
	struct nlattr *families = nla_nest_start(message, IFLA_AF_SPEC);
	struct nlattr *inet6 = families ? nla_nest_start(message, AF_INET6) : NULL;
	int r;

	if (!inet6)
		abort(); /* longer than a page: our own mistake */
	net_attr_put(message, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	nla_nest_end(message, inet6);
	nla_nest_end(message, families);
	r = net_socket_request(socket, message, err);
	return r == -EAFNOSUPPORT ? 0 : r;
}

static int prepare_tap(struct nic *nic, const char *pod, struct error *err)
{
	const struct net_link_change change = {
		.mtu = nic->link.mtu,
		.alias = pod,
		.flags = IFF_UP,
		.flags_mask = IFF_UP,
	};
	int index = tap_index(nic->tap);

	if (suppress_addresses(nic->socket, index, err) < 0 ||
	    net_link_set(nic->socket, index, &change, err) < 0)
		return error_wrap(err, "cannot prepare \"%s\"", tap_name(nic->tap));
	return 0;
}

/* Each way where it leaves: that of the tap goes with the tap. */
static int limit_rates(struct nic *nic, const struct nic_config *config, struct error *err)
{
	int r = 0;

	if (config->rx_bits_per_s)
		r = rate_limit_set(nic->socket, tap_index(nic->tap), config->rx_bits_per_s, err);
	if (r == 0 && config->tx_bits_per_s) {
		r = rate_limit_set(nic->socket, nic->link.index, config->tx_bits_per_s, err);
		nic->limited = r == 0;
	}
	return r;
}

/* Without it QEMU moves the packets. */
static void open_vhost(struct nic *nic)
{
	struct error err;

	if (vhost_net_open(tap_queues(nic->tap), nic->vhost, &err) == 0)
		nic->has_vhost = true;
	else
		log_debug("link=%s vhost-net is not used: %s", nic->link.name, err.text);
}

static void close_vhost(struct nic *nic)
{
	for (size_t i = 0; i < TAP_QUEUES_MAX; i++)
		cleanup_close(&nic->vhost[i]);
}

int nic_create(const struct netns *netns, struct net_socket *socket, const struct net_link *link,
               const struct nic_config *config, struct nic **out, struct error *err)
{
	autodestroy(nic) struct nic *nic = mem_new(struct nic);
	int r;

	nic->socket = socket;
	nic->link = *link;
	for (size_t i = 0; i < TAP_QUEUES_MAX; i++)
		nic->vhost[i] = -1;
	snprintf(nic->id, sizeof(nic->id), "nic%d", link->index);
	r = tap_create(netns, config->queues, &nic->tap, err);
	if (r == 0)
		r = prepare_tap(nic, config->pod, err);
	if (r == 0)
		r = redirect_make(socket, link->index, tap_index(nic->tap), err);
	nic->joined = r == 0;
	if (r == 0)
		r = limit_rates(nic, config, err);
	if (r < 0)
		return error_wrap(err, "link \"%s\"", link->name);
	if (config->vhost)
		open_vhost(nic);
	*out = take_ptr(&nic);
	return 0;
}

void nic_destroy(struct nic *nic)
{
	struct error err;

	if (!nic)
		return;
	if (nic->limited && rate_limit_remove(nic->socket, nic->link.index, &err) < 0)
		log_warn("link \"%s\": %s", nic->link.name, err.text);
	if (nic->joined && redirect_remove(nic->socket, nic->link.index, &err) < 0)
		log_warn("link \"%s\": %s", nic->link.name, err.text);
	close_vhost(nic);
	tap_destroy(nic->tap);
	free(nic);
}

const char *nic_id(const struct nic *nic)
{
	return nic->id;
}

const struct net_link *nic_link(const struct nic *nic)
{
	return &nic->link;
}

int nic_tap_index(const struct nic *nic)
{
	return tap_index(nic->tap);
}

bool nic_has_vhost(const struct nic *nic)
{
	return nic->has_vhost;
}

void nic_device(const struct nic *nic, struct vm_device *out)
{
	unsigned int queues = tap_queues(nic->tap);
	size_t n = 0;

	*out = (struct vm_device){
		.kind = VM_DEVICE_NIC,
		.id = nic->id,
		.fd = tap_fd(nic->tap, 0),
		.queues = queues,
		.vhost = nic->has_vhost,
	};
	for (unsigned int i = 1; i < queues; i++)
		out->more_fds[n++] = tap_fd(nic->tap, i);
	for (unsigned int i = 0; i < queues && nic->has_vhost; i++)
		out->more_fds[n++] = nic->vhost[i];
	memcpy(out->mac, nic->link.mac.bytes, sizeof(out->mac));
}

void nic_close_fds(struct nic *nic)
{
	close_vhost(nic);
	tap_close_fds(nic->tap);
}
