#include "shim/network/network.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <unistd.h>

#include "common/netlink/net_link.h"
#include "hypervisor/vm_device.h"
#include "proto/features.h"
#include "shim/network/guest_network.h"
#include "shim/network/nic.h"
#include "test/unit/open_descriptors.h"
#include "test/unit/shim/network_fixture.h"

static const struct nic_config config = { .pod = "1f", .queues = 1 };
static struct netns *blue;
static char *before;
static int fds;

/* All but counters, which packets change, and the kernel's own neighbours. */
#define LOOK                                                                                       \
	"ip -n blue -o addr; ip -n blue -o link; ip -n blue route show table all; "                \
	"ip -n blue -6 route show table all; ip -n blue neigh show nud permanent; "                \
	"tc -n blue qdisc"

static void setup(void)
{
	unshare_network();
	sh("ip netns add blue");
	fds = open_descriptors();
	blue = open_netns("/run/netns/blue");
}

/* Everything is as before: the namespace, and the descriptors. */
static void teardown(void)
{
	autofree char *after = output_of(LOOK);

	netns_destroy(blue);
	if (before)
		cr_expect_str_eq(before, after);
	cr_expect_eq(open_descriptors(), fds);
	free(before);
}

TestSuite(network, .init = setup, .fini = teardown);

/* A veth with the other end outside, as a CNI plugin makes it. */
static void add_veth(const char *name, const char *mac)
{
	sh("ip link add host-%s type veth peer name %s netns blue address %s && "
	   "ip link set host-%s up && ip -n blue link set %s up",
	   name, name, mac, name, name);
	await_up(name);
}

/* IPv6 addresses are tentative for a second. */
static void settle(void)
{
	sh("for i in $(seq 100); do ip -n blue -6 addr show tentative | grep -q inet6 || exit 0; "
	   "sleep 0.05; done; exit 1");
	before = output_of(LOOK);
}

static struct network *connect_all(size_t n_cards)
{
	struct network *network = NULL;
	struct nic *const *cards;
	struct error err = { 0 };

	cr_assert_eq(network_connect(blue, &config, &network, &err), 0, "%s", err.text);
	cr_assert_eq(network_cards(network, &cards), n_cards);
	return network;
}

static void expect_room(size_t n_cards, size_t room)
{
	struct network *network;

	free(before);
	settle();
	network = connect_all(n_cards);
	cr_expect_eq(network_room(network), room);
	network_destroy(network);
}

static struct guest_network *describe(struct network *network, bool details)
{
	struct error err = { 0 };

	cr_assert_eq(network_refresh(network, &err), 0, "%s", err.text);
	return network_describe(network, details ? FEATURE_NETWORK_DETAILS : 0);
}

static void expect_refusal(const char *text)
{
	struct network *network = NULL;
	struct error err = { 0 };

	cr_expect_lt(network_connect(blue, &config, &network, &err), 0);
	cr_expect_null(network);
	cr_expect_str_eq(err.text, text);
}

Test(network, an_empty_namespace_has_no_cards)
{
	struct network *network;
	struct guest_network *guest;

	settle();
	network = connect_all(0);
	guest = describe(network, false);
	cr_expect_eq(guest->interfaces.n_interfaces, 0);
	cr_expect_eq(guest->routes.n_routes, 0);
	guest_network_destroy(guest);
	network_destroy(network);
}

Test(network, each_link_with_an_address_has_a_card_of_its_mac)
{
	static const uint8_t macs[2][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } };
	struct network *network;
	struct nic *const *cards;

	add_veth("eth0", "02:00:00:00:00:01");
	add_veth("net.1", "02:00:00:00:00:02");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0; ip -n blue addr add fd00::2/64 dev net.1");
	settle();
	network = connect_all(2);
	network_cards(network, &cards);
	for (int i = 0; i < 2; i++) {
		struct vm_device device;

		nic_device(cards[i], &device);
		cr_expect_eq(device.kind, VM_DEVICE_NIC);
		cr_expect_arr_eq(device.mac, macs[i], 6);
		cr_expect_geq(device.fd, 0);
	}
	sh("test $(tc -n blue qdisc | grep -c ingress) = 4");
	network_destroy(network);
}

/* Where the kernel has no vhost-net, QEMU moves the packets. */
Test(network, a_card_with_several_queues_has_a_descriptor_for_each)
{
	const struct nic_config several = { .queues = 3, .vhost = true };
	bool has_vhost = access("/dev/vhost-net", F_OK) == 0;
	struct network *network = NULL;
	struct nic *const *cards;
	struct vm_device device;
	struct error err = { 0 };

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0");
	settle();
	cr_assert_eq(network_connect(blue, &several, &network, &err), 0, "%s", err.text);
	network_cards(network, &cards);
	nic_device(cards[0], &device);
	cr_expect_eq(device.queues, 3);
	cr_expect_eq(device.vhost, has_vhost);
	cr_expect_eq(vm_device_count_fds(&device), has_vhost ? 6 : 3);
	for (size_t i = 0; i < vm_device_count_fds(&device); i++)
		cr_expect_geq(fcntl(vm_device_fd(&device, i), F_GETFD), 0);
	sh("ip -n blue -d link show tap0_kata | grep -q 'multi_queue numqueues 3'");
	network_destroy(network);
}

Test(network, without_vhost_net_each_queue_has_its_tap_alone)
{
	struct network *network;
	struct nic *const *cards;
	struct vm_device device;

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0");
	settle();
	network = connect_all(1);
	network_cards(network, &cards);
	nic_device(cards[0], &device);
	cr_expect_not(device.vhost);
	cr_expect_eq(vm_device_count_fds(&device), 1);
	network_destroy(network);
}

Test(network, cards_that_come_late_are_made_one_by_one)
{
	const struct nic_config late = { .queues = 4, .comes_late = true };
	struct network *network = NULL;
	struct nic *const *cards;
	struct nic *nic;
	struct error err = { 0 };

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0");
	settle();
	cr_assert_eq(network_connect(blue, &late, &network, &err), 0, "%s", err.text);
	cr_expect_eq(network_cards(network, &cards), 0);
	cr_assert_eq(network_add_next(network, &nic, &err), 0, "%s", err.text);
	cr_assert_not_null(nic);
	cr_expect_eq(network_cards(network, &cards), 1);
	cr_assert_eq(network_add_next(network, &nic, &err), 0, "%s", err.text);
	cr_expect_null(nic);
	network_destroy(network);
}

Test(network, the_machine_has_more_room_for_those_that_are_there_from_its_start)
{
	for (int i = 0; i < NETWORK_CARDS_USUAL; i++)
		sh("ip -n blue link add v%d type veth peer name w%d && "
		   "ip -n blue addr add 10.0.%d.1/24 dev v%d && ip -n blue link set v%d up",
		   i, i, i, i, i);
	expect_room(NETWORK_CARDS_USUAL, NETWORK_CARDS_USUAL);
	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.1.0.2/24 dev eth0");
	expect_room(NETWORK_CARDS_USUAL + 1, NETWORK_CARDS_MAX);
}

Test(network, a_link_for_which_there_was_no_room_has_a_card_when_another_has_gone)
{
	struct network *network;
	struct nic *const *cards;
	struct nic *nic;
	struct error err = { 0 };

	for (int i = 0; i < NETWORK_CARDS_USUAL; i++)
		sh("ip -n blue link add v%d type veth peer name w%d && "
		   "ip -n blue addr add 10.0.%d.1/24 dev v%d && ip -n blue link set v%d up",
		   i, i, i, i, i);
	settle();
	network = connect_all(NETWORK_CARDS_USUAL);
	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.1.0.2/24 dev eth0");
	cr_assert_eq(network_refresh(network, &err), 0, "%s", err.text);
	cr_assert_lt(network_add_next(network, &nic, &err), 0);
	cr_assert_eq(network_add_next(network, &nic, &err), 0, "it is passed over: %s", err.text);
	cr_assert_null(nic);
	sh("ip -n blue link del v3");
	cr_assert_eq(network_refresh(network, &err), 0, "%s", err.text);
	network_remove(network, network_find_gone(network));
	cr_assert_eq(network_add_next(network, &nic, &err), 0, "%s", err.text);
	cr_assert_not_null(nic);
	cr_expect_str_eq(nic_link(nic)->name, "eth0");
	cr_expect_eq(network_cards(network, &cards), NETWORK_CARDS_USUAL);
	sh("ip -n blue link del eth0");
	network_destroy(network);
	free(before);
	settle();
}

Test(network, the_rate_of_a_card_is_limited_each_way_where_it_leaves)
{
	const struct nic_config limits = {
		.queues = 1,
		.rx_bits_per_s = 8000000,
		.tx_bits_per_s = 80000000000,
	};
	struct network *network = NULL;
	struct error err = { 0 };

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0");
	settle();
	cr_assert_eq(network_connect(blue, &limits, &network, &err), 0, "%s", err.text);
	sh("tc -n blue qdisc | grep 'qdisc tbf 4b41: dev tap0_kata root .* rate 8Mbit burst "
	   "128Kb'");
	sh("tc -n blue qdisc | grep 'qdisc tbf 4b41: dev eth0 root .* rate 80Gbit '");
	network_destroy(network);
}

Test(network, a_root_qdisc_of_others_stays_and_no_rate_is_limited)
{
	const struct nic_config limits = { .queues = 1, .tx_bits_per_s = 8000000 };
	struct network *network = NULL;
	struct error err = { 0 };

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0 && "
	   "tc -n blue qdisc add dev eth0 root handle 1: tbf rate 1mbit burst 10k limit 10k");
	settle();
	cr_expect_lt(network_connect(blue, &limits, &network, &err), 0);
	cr_expect_str_eq(err.text, "link \"eth0\": it has a root qdisc already");
}

Test(network, links_that_are_down_or_without_an_address_do_not_count)
{
	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue link set eth0 down && ip -n blue addr add 10.0.0.2/24 dev eth0 && "
	   "ip -n blue link add veth1 type veth peer name veth2 && "
	   "ip -n blue link set veth1 addrgenmode none && ip -n blue link set veth1 up");
	settle();
	network_destroy(connect_all(0));
}

/* The kernel gives a port a link-local address when it was up before. */
Test(network, a_port_of_a_bridge_does_not_count)
{
	struct nic *const *cards;
	struct network *network;

	add_veth("port0", "02:00:00:00:00:01");
	sh("ip -n blue link add br0 type bridge && ip -n blue link set port0 master br0 && "
	   "ip -n blue link set br0 up && ip -n blue addr add 10.0.0.2/24 dev br0 && "
	   "ip -n blue addr add 10.0.1.2/24 dev port0");
	settle();
	network = connect_all(1);
	network_cards(network, &cards);
	cr_expect_str_eq(nic_link(cards[0])->name, "br0");
	network_destroy(network);
}

/* The namespace itself would answer for its address, by the other link. */
Test(network, a_macvlan_on_a_link_of_the_namespace_is_refused)
{
	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue link add net1 link eth0 type macvlan && ip -n blue link set net1 up && "
	   "ip -n blue addr add 10.0.0.2/24 dev net1");
	settle();
	expect_refusal("link \"net1\" of kind \"macvlan\" on link \"eth0\": not supported");
}

Test(network, the_taps_of_another_network_do_not_count)
{
	struct network *network;
	struct error err = { 0 };
	struct network *other = NULL;

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0");
	settle();
	network = connect_all(1);
	cr_expect_lt(network_connect(blue, &config, &other, &err), 0);
	cr_expect_str_eq(err.text, "link \"eth0\": it has an ingress qdisc already");
	network_destroy(network);
	network_destroy(connect_all(1));
}

Test(network, what_is_no_ethernet_is_refused_by_name)
{
	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0 && ip -n blue tuntap add tun5 mode tun && "
	   "ip -n blue addr add 10.5.0.1/24 dev tun5 && ip -n blue link set tun5 up");
	settle();
	expect_refusal("link \"tun5\" of kind \"tun\": not supported, since it is not an Ethernet");
}

Test(network, a_sweep_knows_a_pod_by_its_taps)
{
	struct network *network;
	struct error err = { 0 };

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0");
	settle();
	network = connect_all(1);
	cr_expect_eq(network_sweep("/run/netns/blue", "1f", &err), 1, "%s", err.text);
	cr_expect_eq(network_sweep("/run/netns/blue", "2f", &err), 0, "%s", err.text);
	network_destroy(network);
	cr_expect_eq(network_sweep("/run/netns/blue", "1f", &err), 0, "%s", err.text);
}

Test(network, more_links_than_the_machine_has_room_for_are_refused)
{
	for (int i = 0; i <= NETWORK_CARDS_MAX; i++) {
		sh("ip -n blue link add v%d type veth peer name w%d && "
		   "ip -n blue addr add 10.0.%d.1/24 dev v%d && ip -n blue link set v%d up",
		   i, i, i, i, i);
	}
	settle();
	expect_refusal("16 links with addresses: not supported; at most 15 are");
}

Test(network, the_guest_is_told_what_is_in_the_namespace)
{
	struct network *network;
	struct guest_network *guest;
	const Types__Interface *one;
	const Types__Route *route;

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue link set eth0 mtu 1400 addrgenmode none; "
	   "ip -n blue addr flush dev eth0; ip -n blue addr add 10.0.0.2/24 dev eth0 && "
	   "ip -n blue addr add fd00::2/64 dev eth0 nodad && "
	   "ip -n blue route add default via 169.254.1.1 dev eth0 onlink src 10.0.0.2 mtu 1300 && "
	   "ip -n blue route add 10.9.0.0/16 via 10.0.0.1 && "
	   "ip -n blue route add 169.254.1.1 dev eth0 scope link && "
	   "ip -n blue -6 route add default via fd00::1 && "
	   "ip -n blue neigh add 10.0.0.1 lladdr 02:00:00:00:00:09 dev eth0 nud permanent && "
	   "ip -n blue neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev eth0 nud stale");
	settle();
	network = connect_all(1);
	guest = describe(network, false);
	cr_assert_eq(guest->interfaces.n_interfaces, 1);
	one = guest->interfaces.interfaces[0];
	cr_expect_str_eq(one->name, "eth0");
	cr_expect_str_eq(one->device, "eth0");
	cr_expect_str_eq(one->hwaddr, "02:00:00:00:00:01");
	cr_expect_eq(one->mtu, 1400);
	cr_assert_eq(one->n_ipaddresses, 2);
	cr_expect_str_eq(one->ipaddresses[0]->address, "10.0.0.2");
	cr_expect_str_eq(one->ipaddresses[0]->mask, "24");
	cr_expect_str_eq(one->ipaddresses[1]->address, "fd00::2");
	cr_expect_eq(one->ipaddresses[1]->family, TYPES__IPFAMILY__v6);

	cr_assert_eq(guest->routes.n_routes, 4);
	route = guest->routes.routes[0];
	cr_expect_str_eq(route->dest, "169.254.1.1/32");
	cr_expect_str_eq(route->gateway, "");
	cr_expect_eq(route->scope, RT_SCOPE_LINK);
	route = guest->routes.routes[1];
	cr_expect_str_eq(route->dest, "");
	cr_expect_str_eq(route->gateway, "169.254.1.1");
	cr_expect_str_eq(route->source, "10.0.0.2");
	cr_expect_str_eq(route->device, "eth0");
	cr_expect_eq(route->flags, RTNH_F_ONLINK);
	cr_expect_eq(route->mtu, 1300);
	route = guest->routes.routes[2];
	cr_expect_str_eq(route->dest, "10.9.0.0/16");
	cr_expect_str_eq(route->gateway, "10.0.0.1");
	route = guest->routes.routes[3];
	cr_expect_eq(route->family, TYPES__IPFAMILY__v6);
	cr_expect_str_eq(route->gateway, "fd00::1");

	cr_assert_eq(guest->neighbours.n_arpneighbors, 1);
	cr_expect_str_eq(guest->neighbours.arpneighbors[0]->toipaddress->address, "10.0.0.1");
	cr_expect_str_eq(guest->neighbours.arpneighbors[0]->lladdr, "02:00:00:00:00:09");
	guest_network_set_path(guest, 0, "03/00");
	cr_expect_str_eq(one->devicepath, "03/00");
	guest_network_destroy(guest);
	network_destroy(network);
}

/* free() it: "name=value " of each. */
static char *settings_of(const struct guest_network *guest)
{
	const Types__Interface *one = guest->interfaces.interfaces[0];
	char *text = mem_strdup("");

	for (size_t i = 0; i < one->n_settings; i++) {
		char *longer = mem_printf("%s%s=%s ", text, one->settings[i]->name,
		                          one->settings[i]->value);

		free(text);
		text = longer;
	}
	return text;
}

static void expect_settings(struct network *network, unsigned int features, const char *expected)
{
	struct guest_network *guest = network_describe(network, features);
	autofree char *text = settings_of(guest);

	cr_expect_str_eq(text, expected);
	guest_network_destroy(guest);
}

Test(network, an_agent_that_can_is_told_the_settings_that_were_changed)
{
	struct network *network;
	struct error err = { 0 };

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0 && "
	   "ip netns exec blue sh -c 'echo 1 >/proc/sys/net/ipv4/conf/eth0/log_martians'");
	settle();
	network = connect_all(1);
	expect_settings(network, FEATURE_LINK_SETTINGS, "ipv4/conf/log_martians=1 ");
	expect_settings(network, FEATURE_NETWORK_DETAILS, "");
	sh("ip netns exec blue sh -c 'cd /proc/sys/net; echo 0 >ipv4/conf/eth0/log_martians; "
	   "echo 77 >ipv6/neigh/eth0/gc_stale_time'");
	cr_assert_eq(network_refresh(network, &err), 0, "%s", err.text);
	expect_settings(network, FEATURE_LINK_SETTINGS,
	                "ipv4/conf/log_martians=0 ipv6/neigh/gc_stale_time=77 ");
	network_destroy(network);
}

static const Types__Route *find_route(const struct guest_network *guest, const char *destination)
{
	for (size_t i = 0; i < guest->routes.n_routes; i++)
		if (!strcmp(guest->routes.routes[i]->dest, destination))
			return guest->routes.routes[i];
	cr_assert_fail("no route to %s", destination);
	return NULL;
}

Test(network, an_agent_that_can_is_told_all_that_routes_addresses_and_rules_say)
{
	struct network *network;
	struct guest_network *guest;
	const Types__Route *route;
	const Types__IPAddress *address;

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue link set eth0 addrgenmode none; ip -n blue addr flush dev eth0; "
	   "ip -n blue addr add 10.0.0.2 peer 10.0.0.9/32 dev eth0 noprefixroute && "
	   "ip -n blue addr add 10.1.0.2/24 broadcast 10.1.0.255 dev eth0 label eth0:x && "
	   "ip -n blue route add 10.9.0.0/16 via 10.1.0.1 metric 77 src 10.1.0.2 table 100 "
	   "advmss 1200 proto static && "
	   "ip -n blue route add blackhole 10.66.0.0/16 && "
	   "ip -n blue route add 10.8.0.0/16 nexthop via 10.1.0.3 weight 2 nexthop via 10.1.0.4 && "
	   "ip -n blue rule add from 10.1.0.2 iif eth0 fwmark 7/255 lookup 100 priority 50");
	settle();
	network = connect_all(1);
	guest = describe(network, true);
	cr_assert_eq(guest->interfaces.interfaces[0]->n_ipaddresses, 2);
	address = guest->interfaces.interfaces[0]->ipaddresses[0];
	cr_assert(address->details);
	cr_expect_str_eq(address->address, "10.0.0.2");
	cr_expect_str_eq(address->details->peer, "10.0.0.9");
	cr_expect_eq(address->details->flags, IFA_F_NOPREFIXROUTE);
	address = guest->interfaces.interfaces[0]->ipaddresses[1];
	cr_expect_str_eq(address->details->label, "eth0:x");
	cr_expect_str_eq(address->details->broadcast, "10.1.0.255");

	cr_assert_eq(guest->routes.n_routes, 3);
	route = find_route(guest, "10.66.0.0/16");
	cr_expect_eq(route->details->type, RTN_BLACKHOLE);
	cr_expect_str_eq(route->device, "");
	route = find_route(guest, "10.8.0.0/16");
	cr_assert_eq(route->details->n_hops, 2);
	cr_expect_str_eq(route->details->hops[0]->gateway, "10.1.0.3");
	cr_expect_eq(route->details->hops[0]->weight, 1);
	route = find_route(guest, "10.9.0.0/16");
	cr_expect_str_eq(route->details->preferred_source, "10.1.0.2");
	cr_expect_eq(route->details->metric, 77);
	cr_expect_eq(route->details->table, 100);
	cr_expect_eq(route->details->protocol, RTPROT_STATIC);
	cr_assert_gt(route->details->n_metrics, RTAX_ADVMSS);
	cr_expect_eq(route->details->metrics[RTAX_ADVMSS], 1200);

	cr_assert_eq(guest->n_rules, 1);
	cr_expect_str_eq(guest->rules[0]->source, "10.1.0.2/32");
	cr_expect_str_eq(guest->rules[0]->in, "eth0");
	cr_expect_eq(guest->rules[0]->mark, 7);
	cr_expect_eq(guest->rules[0]->mark_mask, 255);
	cr_expect_eq(guest->rules[0]->table, 100);
	guest_network_destroy(guest);
	network_destroy(network);
}

Test(network, a_route_of_the_kernels_that_somebody_has_copied_to_another_table_is_told)
{
	struct network *network;
	struct guest_network *guest;

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0 && "
	   "ip -n blue route add 10.0.0.0/24 dev eth0 proto kernel scope link table 100");
	settle();
	network = connect_all(1);
	guest = describe(network, true);
	cr_expect_eq(guest->routes.n_routes, 1);
	cr_expect_eq(find_route(guest, "10.0.0.0/24")->details->table, 100);
	guest_network_destroy(guest);
	network_destroy(network);
}

Test(network, an_agent_that_cannot_is_told_ours_only_where_a_way_depends_on_it)
{
	struct network *network;
	struct guest_network *guest;

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue link set eth0 addrgenmode none; ip -n blue addr flush dev eth0; "
	   "ip -n blue addr add 10.1.0.2/24 dev eth0 && "
	   "ip -n blue addr add fd00::2/64 dev eth0 nodad && "
	   "ip -n blue route add default via 10.1.0.1 src 10.1.0.2 proto static && "
	   "ip -n blue -6 route add default via fd00::1 && "
	   "ip -n blue route add 10.9.0.0/16 via 10.1.0.1 metric 5");
	settle();
	network = connect_all(1);
	guest = describe(network, false);
	cr_expect_null(guest->interfaces.interfaces[0]->ipaddresses[0]->details);
	cr_assert_eq(guest->routes.n_routes, 3);
	for (int i = 0; i < 3; i++) {
		const Types__Route *route = guest->routes.routes[i];
		bool needs = !strcmp(route->dest, "10.9.0.0/16");

		cr_expect_eq(route->details != NULL, needs, "%s", route->dest);
		if (route->family == TYPES__IPFAMILY__v4 && !needs)
			cr_expect_str_eq(route->source, "10.1.0.2");
	}
	guest_network_destroy(guest);
	network_destroy(network);
}

Test(network, a_tap_is_quiet_and_has_the_mtu_of_its_link)
{
	struct network *network;
	autofree char *addresses = NULL;

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0; ip -n blue link set eth0 mtu 9000");
	settle();
	network = connect_all(1);
	addresses = output_of("ip -n blue -o addr show tap0_kata");
	cr_expect_str_eq(addresses, "");
	sh("ip -n blue link show tap0_kata | grep -q 'mtu 9000'");
	network_destroy(network);
}

Test(network, it_may_go_after_its_links)
{
	struct network *network;

	add_veth("eth0", "02:00:00:00:00:01");
	sh("ip -n blue addr add 10.0.0.2/24 dev eth0");
	network = connect_all(1);
	sh("ip -n blue link del eth0");
	network_destroy(network);
}
