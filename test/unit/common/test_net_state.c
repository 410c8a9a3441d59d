/* Everything in a namespace that ip(8) has filled, as this library reads it. */
#include "common/netlink/net_state.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/netlink/net_socket.h"
#include "test/lib/net_bench.h"
#include "test/unit/open_descriptors.h"

static struct net_socket *netlink;
static struct net_state state;
static struct error err;

static void setup(void)
{
	net_bench_enter();
	cr_assert_eq(net_socket_open(NET_SOCKET_HERE, &netlink, &err), 0, "%s", err.text);
}

static void teardown(void)
{
	net_state_fini(&state);
	net_socket_destroy(netlink);
}

TestSuite(net_state, .init = setup, .fini = teardown, .timeout = 120);

static void read_state(void)
{
	net_state_fini(&state);
	cr_assert_eq(net_state_read(netlink, &state, &err), 0, "%s", err.text);
}

static const struct net_link *link_named(const char *name)
{
	const struct net_link *link = net_link_by_name(state.links, state.n_links, name);

	cr_assert_not_null(link, "%s", name);
	return link;
}

static bool is_ip(const struct net_ip *ip, const char *expected)
{
	char text[NET_IP_TEXT_MAX];

	return !strcmp(net_ip_text(ip, text), expected);
}

static const struct net_address *address_of(const char *expected)
{
	char text[NET_PREFIX_TEXT_MAX];

	for (size_t i = 0; i < state.n_addresses; i++)
		if (!strcmp(net_prefix_text(&state.addresses[i].own, text), expected))
			return &state.addresses[i];
	cr_assert_fail("no address %s", expected);
	return NULL;
}

/* The one that net_route_text() describes so. */
static const struct net_route *route_of(const char *expected)
{
	char text[NET_ROUTE_TEXT_MAX];

	for (size_t i = 0; i < state.n_routes; i++)
		if (!strcmp(net_route_text(&state.routes[i], text), expected))
			return &state.routes[i];
	cr_assert_fail("no route %s", expected);
	return NULL;
}

Test(net_state, an_empty_namespace_has_lo_and_the_kernels_rules)
{
	const struct net_link *lo;

	read_state();
	cr_assert_eq(state.n_links, 1);
	lo = link_named("lo");
	cr_assert_eq(lo->index, 1);
	cr_assert_str_eq(lo->kind, "");
	cr_assert_eq(lo->flags & (IFF_UP | IFF_LOOPBACK), IFF_UP | IFF_LOOPBACK);
	cr_assert_eq(lo->mtu, 65536);
	cr_assert_eq(lo->lower_netns, -1);
	cr_assert_eq(address_of("127.0.0.1/8")->scope, RT_SCOPE_HOST);
	cr_assert_geq(state.n_rules, 3);
	for (size_t i = 0; i < state.n_rules; i++)
		cr_expect(net_rule_is_default(&state.rules[i]), "rule %zu", i);
}

Test(net_state, links_have_their_attributes)
{
	const struct net_link *a;
	const struct net_link *b;
	char mac[NET_MAC_TEXT_MAX];

	net_bench_run("ip link add a0 address 02:00:00:00:00:0a mtu 9000 type veth peer name b0\n"
	              "ip link add br0 type bridge; ip link set b0 master br0; ip link set a0 up\n"
	              "ip link set a0 arp off");
	read_state();
	a = link_named("a0");
	b = link_named("b0");
	cr_assert_str_eq(a->kind, "veth");
	cr_assert_str_eq(net_mac_text(&a->mac, mac), "02:00:00:00:00:0a");
	cr_assert_eq(a->mtu, 9000);
	cr_assert_eq(a->lower, b->index);
	cr_assert_eq(a->lower_netns, -1);
	cr_assert_eq(a->flags & (IFF_UP | IFF_NOARP), IFF_UP | IFF_NOARP);
	cr_assert_eq(b->flags & (IFF_UP | IFF_NOARP), 0);
	cr_assert_eq(b->master, link_named("br0")->index);
	cr_assert_str_eq(link_named("br0")->kind, "bridge");
	cr_assert_eq(net_link_by_mac(state.links, state.n_links, &a->mac), a);
	cr_assert_eq(net_link_by_index(state.links, state.n_links, b->index), b);
	cr_assert_null(net_link_by_name(state.links, state.n_links, "nosuch"));
}

Test(net_state, a_tap_is_told_from_a_tun)
{
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		cr_skip("/dev/net/tun: %s", strerror(errno));
	net_bench_run("ip tuntap add tun0 mode tun; ip tuntap add tap0 mode tap");
	read_state();
	cr_assert_str_eq(link_named("tap0")->kind, "tun");
	cr_assert(link_named("tun0")->is_tun);
	cr_assert_not(link_named("tap0")->is_tun);
}

Test(net_state, addresses_have_their_attributes)
{
	const struct net_address *one;

	net_bench_run(
		"ip link add a0 type veth peer name b0; ip link set a0 up\n"
		"ip address add 10.1.0.5/24 broadcast 10.1.0.255 dev a0 label a0:x metric 77\n"
		"ip address add 10.2.0.1 peer 10.2.0.2/32 dev a0 scope link\n"
		"ip address add 2001:db8::5/64 dev a0 nodad valid_lft 1000 preferred_lft 0");
	read_state();
	one = address_of("10.1.0.5/24");
	cr_assert_eq(one->link, link_named("a0")->index);
	cr_assert(is_ip(&one->broadcast, "10.1.0.255"));
	cr_assert(is_ip(&one->peer, ""));
	cr_assert_str_eq(one->label, "a0:x");
	cr_assert_eq(one->metric, 77);
	cr_assert_eq(one->valid_s, UINT32_MAX);
	one = address_of("10.2.0.1/32");
	cr_assert(is_ip(&one->peer, "10.2.0.2"));
	cr_assert_eq(one->scope, RT_SCOPE_LINK);
	one = address_of("2001:db8::5/64");
	cr_assert_eq(one->flags & (IFA_F_NODAD | IFA_F_TENTATIVE), IFA_F_NODAD);
	cr_assert_leq(one->valid_s, 1000);
	cr_assert_eq(one->preferred_s, 0);
}

static void fill_routes(void)
{
	net_bench_run(
		"ip link add a0 type veth peer name b0; ip link set a0 up; ip link set b0 up\n"
		"ip address add 10.1.0.5/24 dev a0; ip address add 2001:db8::5/64 dev a0 nodad\n"
		"ip route add default via 10.1.0.1 mtu lock 1400 advmss 1200 congctl reno metric "
		"7\n"
		"ip route add 10.5.0.0/16 via 169.254.1.1 dev a0 onlink src 10.1.0.5\n"
		"ip route add 10.6.0.0/16 dev a0 scope link table 1000 proto 99\n"
		"ip route add blackhole 10.7.0.0/16\n"
		"ip route add 10.8.0.0/16 nexthop via 10.1.0.1 weight 3 nexthop via 10.1.0.2\n"
		"ip route add 10.9.0.0/16 via inet6 fe80::1 dev a0\n"
		"ip -6 route add default via 2001:db8::1 metric 1024 pref high\n"
		"ip -6 route add 2001:db8:1::/48 via fe80::9 dev a0 src 2001:db8::5");
}

Test(net_state, routes_of_ipv4_have_their_attributes)
{
	const struct net_route *one;

	fill_routes();
	read_state();
	one = route_of("default via 10.1.0.1 metric 7");
	cr_assert_eq(one->hops[0].link, link_named("a0")->index);
	cr_assert_eq(one->table, RT_TABLE_MAIN);
	cr_assert_eq(one->metrics[RTAX_MTU], 1400);
	cr_assert_eq(one->metrics[RTAX_LOCK], 1 << RTAX_MTU);
	cr_assert_eq(one->metrics[RTAX_ADVMSS], 1200);
	cr_assert_str_eq(one->congestion, "reno");
	one = route_of("10.5.0.0/16 via 169.254.1.1");
	cr_assert_eq(one->hops[0].flags, RTNH_F_ONLINK);
	cr_assert(is_ip(&one->preferred_source, "10.1.0.5"));
	one = route_of("10.6.0.0/16 table 1000");
	cr_assert_eq(one->scope, RT_SCOPE_LINK);
	cr_assert_eq(one->protocol, 99);
	cr_assert_eq(route_of("10.7.0.0/16")->type, RTN_BLACKHOLE);
	one = route_of("10.8.0.0/16 via 10.1.0.1 via 10.1.0.2");
	cr_assert_eq(one->n_hops, 2);
	cr_assert_eq(one->hops[0].weight, 2);
	cr_assert_eq(one->hops[1].weight, 0);
	cr_assert_eq(route_of("10.9.0.0/16 via fe80::1")->hops[0].gateway.family, AF_INET6);
	cr_assert_eq(route_of("10.1.0.0/24")->protocol, RTPROT_KERNEL);
}

Test(net_state, routes_of_ipv6_have_their_attributes)
{
	const struct net_route *one;

	fill_routes();
	read_state();
	one = route_of("default via 2001:db8::1 metric 1024");
	cr_assert_eq(one->family, AF_INET6);
	cr_assert_eq(one->preference, 1, "high, as in linux/icmpv6.h");
	one = route_of("2001:db8:1::/48 via fe80::9 metric 1024");
	cr_assert(is_ip(&one->preferred_source, "2001:db8::5"));
	cr_assert_eq(one->hops[0].link, link_named("a0")->index);
}

Test(net_state, a_route_of_too_many_hops_is_an_error)
{
	net_bench_run("ip link add a0 type veth peer name b0; ip link set a0 up\n"
	              "ip address add 10.1.0.5/24 dev a0; hops=; i=1\n"
	              "while [ $i -le 17 ]; do hops=\"$hops nexthop via 10.1.0.$((i + 5))\"; "
	              "i=$((i + 1)); done\n"
	              "ip route add 10.8.0.0/16 $hops");
	cr_assert_lt(net_state_read(netlink, &state, &err), 0);
	cr_assert_eq(err.code, ERROR_RESOURCE_EXHAUSTED);
	cr_assert_str_eq(err.text, "cannot read the routes: a route of more than 16 hops");
	net_bench_run("ip route delete 10.8.0.0/16");
	read_state(); /* with the same socket */
}

Test(net_state, neighbours_have_their_attributes)
{
	bool found = false;

	net_bench_run(
		"ip link add a0 type veth peer name b0; ip link set a0 up; ip link set b0 up\n"
		"ip neighbour add 10.1.0.9 lladdr 02:00:00:00:00:09 dev a0 nud permanent\n"
		"ip neighbour add proxy 10.1.0.8 dev a0\n"
		"ip neighbour add fe80::9 lladdr 02:00:00:00:00:09 dev a0 nud stale router");
	read_state();
	for (size_t i = 0; i < state.n_neighbours; i++) {
		const struct net_neighbour *one = &state.neighbours[i];

		cr_assert_not(is_ip(&one->ip, "10.1.0.8"));
		if (is_ip(&one->ip, "fe80::9"))
			cr_assert(one->state == NUD_STALE && one->flags & NTF_ROUTER);
		if (!is_ip(&one->ip, "10.1.0.9"))
			continue;
		found = true;
		cr_assert_eq(one->state, NUD_PERMANENT);
		cr_assert_eq(one->mac.len, 6);
		cr_assert_eq(one->mac.bytes[5], 9);
	}
	cr_assert(found);
}

Test(net_state, rules_have_their_attributes)
{
	const struct net_rule *one = NULL;

	net_bench_run(
		"ip rule add not from 10.0.0.0/8 to 10.9.0.0/16 fwmark 0x5/0xff iif lo oif b0 "
		"tos 0x10 ipproto tcp sport 1-5 dport 80 uidrange 0-0 lookup 1000 "
		"suppress_prefixlength 3 priority 55");
	read_state();
	for (size_t i = 0; i < state.n_rules; i++)
		if (state.rules[i].priority == 55)
			one = &state.rules[i];
	cr_assert_not_null(one);
	cr_assert(one->invert && one->source.len == 8 && one->destination.len == 16);
	cr_assert(one->mark == 5 && one->mark_mask == 255 && one->tos == 0x10);
	cr_assert_str_eq(one->in, "lo");
	cr_assert_str_eq(one->out, "b0");
	cr_assert(one->ip_protocol == IPPROTO_TCP && one->has_uids && one->uids.end == 0);
	cr_assert(one->source_ports.end == 5 && one->destination_ports.start == 80);
	cr_assert(one->table == 1000 && one->suppress_prefix == 3 && one->suppress_group == -1);
	cr_assert_not(net_rule_is_default(one));
	cr_assert_not(one->has_others);
}

static int open_namespace_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	return fd;
}

Test(net_state, a_socket_stays_in_its_namespace_and_the_caller_in_his)
{
	int fd = open_namespace_of("/proc/self/ns/net");
	struct net_socket *there;
	int before;

	net_bench_run("ip link add there type veth peer name b0");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	before = open_descriptors();
	cr_assert_eq(net_socket_open(fd, &there, &err), 0, "%s", err.text);
	cr_assert_eq(net_state_read(there, &state, &err), 0, "%s", err.text);
	link_named("there");
	net_socket_destroy(there);
	cr_assert_eq(open_descriptors(), before);
	cr_assert_eq(if_nametoindex("there"), 0, "the test is where it was");
	close(fd);
}

Test(net_state, the_peer_of_a_veth_in_another_namespace_has_the_id_of_that)
{
	int fd = open_namespace_of("/proc/self/ns/net");
	struct net_socket *there;
	char command[160];

	net_bench_run("ip link add a0 type veth peer name b0");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	snprintf(command, sizeof(command), "nsenter --net=/proc/%d/fd/%d ip link set b0 netns %d",
	         (int)getpid(), fd, (int)getpid());
	net_bench_run(command);
	cr_assert_eq(net_socket_open(fd, &there, &err), 0, "%s", err.text);
	cr_assert_eq(net_state_read(there, &state, &err), 0, "%s", err.text);
	cr_assert_geq(link_named("a0")->lower_netns, 0);
	cr_assert_eq(link_named("a0")->lower, (int)if_nametoindex("b0"));
	net_socket_destroy(there);
	close(fd);
}

Test(net_state, a_namespace_that_is_none_of_networks_is_refused)
{
	static const char *const rows[] = { "/proc/self/ns/mnt", "/dev/null" };
	struct net_socket *there;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = open_namespace_of(rows[i]);

		cr_expect_eq(net_socket_open(fd, &there, &err), -EINVAL, "%s", rows[i]);
		cr_expect_str_eq(err.text, "no network namespace");
		close(fd);
	}
	cr_assert_lt(net_socket_open(12345, &there, &err), 0);
}

static bool is_readable(int fd, int ms)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, ms) == 1;
}

Test(net_state, a_watch_reports_changes_until_it_is_drained)
{
	static const char *const changes[] = {
		"ip link add a0 type veth peer name b0",
		"ip link set a0 up",
		"ip address add 10.1.0.5/24 dev a0",
		"ip route add 10.5.0.0/16 dev a0",
		"ip neighbour add 10.1.0.9 lladdr 02:00:00:00:00:09 dev a0 nud permanent",
		"ip rule add from 10.0.0.0/8 lookup 1000",
		"ip link delete a0",
	};
	int fd;

	cr_assert_eq(net_watch_open(NET_SOCKET_HERE, &fd, &err), 0, "%s", err.text);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		net_watch_drain(fd);
		net_bench_run(changes[i]);
		cr_expect(is_readable(fd, 1000), "%s", changes[i]);
	}
	net_watch_drain(fd);
	close(fd);
}

/* As the kernel drops messages of a receiver that is too slow. */
Test(net_state, a_watch_that_overflowed_is_drained)
{
	int fd;

	cr_assert_eq(net_watch_open(NET_SOCKET_HERE, &fd, &err), 0, "%s", err.text);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){ 1 }, sizeof(int)), 0);
	net_bench_run(
		"ip link add a0 type veth peer name b0; ip link set a0 up; ip link set a0 down\n"
		"ip link set a0 up; ip link set a0 down; ip link set a0 up; ip link delete a0");
	net_watch_drain(fd);
	cr_assert_not(is_readable(fd, 0));
	net_bench_run("ip link add a0 type veth peer name b0");
	cr_assert(is_readable(fd, 1000));
	close(fd);
}

Test(net_state, more_links_than_the_limit_are_an_error)
{
	net_bench_run("i=0; while [ $i -le 512 ]; do echo link add a$i type veth peer name b$i; "
	              "i=$((i + 1)); done | ip -b -");
	cr_assert_lt(net_state_read(netlink, &state, &err), 0);
	cr_assert_str_eq(err.text, "cannot read the links: more than 1024 links");
}
