/* Changes in a namespace, as ip(8) and this library show them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <netinet/in.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/error.h"
#include "common/netlink/net_socket.h"
#include "common/netlink/net_state.h"
#include "test/lib/net_bench.h"

static struct net_socket *netlink;
static struct error err;
static int link_index; /* of "a0", whose peer is "b0" */

static void setup(void)
{
	net_bench_enter();
	net_bench_run("ip link add a0 type veth peer name b0; ip link set b0 up");
	link_index = (int)if_nametoindex("a0");
	cr_assert_eq(net_socket_open(NET_SOCKET_HERE, &netlink, &err), 0, "%s", err.text);
}

static void teardown(void)
{
	net_socket_destroy(netlink);
}

TestSuite(net_change, .init = setup, .fini = teardown, .timeout = 120);

static void raise_link(void)
{
	struct net_link_change up = { .flags = IFF_UP, .flags_mask = IFF_UP };

	cr_assert_eq(net_link_set(netlink, link_index, &up, &err), 0, "%s", err.text);
}

static void expect_output(const char *command, const char *expected)
{
	const char *output = net_bench_output(command);

	cr_expect(strstr(output, expected), "%s: no \"%s\" in\n%s", command, expected, output);
}

Test(net_change, a_link_gets_a_name_mac_mtu_and_flags)
{
	struct net_link_change change = { .name = "eth0", .mtu = 1280 };

	cr_assert_eq(net_mac_parse("02:aa:bb:cc:dd:ee", &change.mac, &err), 0);
	change.flags = IFF_UP | IFF_NOARP;
	change.flags_mask = IFF_UP | IFF_NOARP;
	cr_assert_eq(net_link_set(netlink, link_index, &change, &err), 0, "%s", err.text);
	expect_output("ip link show eth0", "NOARP,UP,LOWER_UP> mtu 1280");
	expect_output("ip link show eth0", "link/ether 02:aa:bb:cc:dd:ee");
	change = (struct net_link_change){ .flags_mask = IFF_UP };
	cr_assert_eq(net_link_set(netlink, link_index, &change, &err), 0, "%s", err.text);
	expect_output("ip link show eth0", "<BROADCAST,MULTICAST,NOARP> mtu 1280");
}

Test(net_change, a_link_gets_a_master_and_goes)
{
	struct net_link_change change = { 0 };

	net_bench_run("ip link add br0 type bridge");
	change.master = (int)if_nametoindex("br0");
	cr_assert_eq(net_link_set(netlink, link_index, &change, &err), 0, "%s", err.text);
	expect_output("ip link show a0", "master br0");
	change.master = -1;
	cr_assert_eq(net_link_set(netlink, link_index, &change, &err), 0, "%s", err.text);
	cr_assert_null(strstr(net_bench_output("ip link show a0"), "master"));
	cr_assert_eq(net_link_delete(netlink, link_index, &err), 0, "%s", err.text);
	cr_assert_eq(if_nametoindex("a0"), 0);
}

Test(net_change, a_link_gets_no_address_by_itself)
{
	struct net_link_change up = { .flags = IFF_UP, .flags_mask = IFF_UP };

	raise_link();
	expect_output("ip -6 address show a0", "inet6 fe80::");
	net_bench_run("ip link set a0 down");
	up.no_link_local = true;
	cr_assert_eq(net_link_set(netlink, link_index, &up, &err), 0, "%s", err.text);
	cr_assert_str_eq(net_bench_output("ip -6 address show a0"), "");
}

Test(net_change, the_kernels_own_words_are_in_the_error)
{
	struct net_link_change change = { .name = "b0" };
	struct net_route route = { .family = AF_INET, .type = RTN_UNICAST };

	cr_assert_eq(net_link_set(netlink, link_index, &change, &err), -EEXIST);
	cr_assert_str_eq(err.text, "File exists");
	cr_assert_eq(net_link_set(netlink, 999, &change, &err), -ENODEV);
	raise_link();
	net_bench_run("ip address add 10.1.0.5/24 dev a0");
	route.destination = net_prefix_default(AF_INET);
	route.hops[route.n_hops++].link = link_index;
	cr_assert_eq(net_ip_parse("10.9.0.1", &route.hops[0].gateway, &err), 0);
	cr_assert_eq(net_route_add(netlink, &route, NET_ROUTE_ADD, &err), -ENETUNREACH);
	cr_assert_str_eq(err.text, "Network is unreachable: Nexthop has invalid gateway");
}

Test(net_change, names_of_links_are_valid_as_the_kernel_says)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "a:b", "0123456789abcdef" };
	static const char *const good[] = { "eth0", "0123456789abcde", "a.1", "\xc3\xa9", "..." };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(net_link_name_is_valid(bad[i]), "%s", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct net_link_change change = { .name = good[i] };

		cr_expect(net_link_name_is_valid(good[i]), "%s", good[i]);
		cr_expect_eq(net_link_set(netlink, link_index, &change, &err), 0, "%s", good[i]);
	}
}

Test(net_change, text_that_is_no_mac_address_is_refused)
{
	static const char *const bad[] = { "", "2:0:0:0:0:1", "02:", "02-00", "02:0g", "02:00:" };
	char text[NET_MAC_TEXT_MAX + 3]; /* of one byte too many */
	struct net_mac mac = { .len = 99 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(net_mac_parse(bad[i], &mac, &err), -EINVAL, "%s", bad[i]);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 3 == 2 ? ':' : '0';
	text[sizeof(text) - 1] = '\0';
	cr_expect_eq(net_mac_parse(text, &mac, &err), -EINVAL);
	cr_assert_eq(mac.len, 99, "the output is untouched");
	text[NET_MAC_TEXT_MAX - 1] = '\0';
	cr_expect_eq(net_mac_parse(text, &mac, &err), 0);
	cr_assert_eq(mac.len, NET_MAC_MAX);
	cr_assert_eq(net_mac_parse("02:00:00:00:00:0A", &mac, &err), 0);
	cr_assert_eq(mac.len, 6);
}

static struct net_address address_of(const char *text)
{
	struct net_address address = NET_ADDRESS_INIT;

	address.link = link_index;
	cr_assert_eq(net_prefix_parse(text, &address.own, &err), 0, "%s", err.text);
	return address;
}

Test(net_change, addresses_are_added_changed_and_deleted)
{
	struct net_address one = address_of("10.1.0.5/24");
	struct net_address other = address_of("2001:db8::5/64");

	raise_link();
	cr_assert_eq(net_ip_parse("10.1.0.255", &one.broadcast, &err), 0);
	snprintf(one.label, sizeof(one.label), "a0:x");
	one.metric = 77;
	other.flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE;
	cr_assert_eq(net_address_add(netlink, &one, &err), 0, "%s", err.text);
	cr_assert_eq(net_address_add(netlink, &one, &err), 0, "twice: %s", err.text);
	cr_assert_eq(net_address_add(netlink, &other, &err), 0, "%s", err.text);
	expect_output("ip address show a0",
	              "inet 10.1.0.5/24 metric 77 brd 10.1.0.255 scope global a0:x");
	expect_output("ip address show a0",
	              "inet6 2001:db8::5/64 scope global nodad noprefixroute");
	cr_assert_null(
		strstr(net_bench_output("ip address show a0"), "db8::5/64 scope global tent"));
	cr_assert_eq(net_address_delete(netlink, &one, &err), 0, "%s", err.text);
	cr_assert_eq(net_address_delete(netlink, &other, &err), 0, "%s", err.text);
	cr_assert_eq(net_address_delete(netlink, &other, &err), -EADDRNOTAVAIL);
	cr_assert_null(strstr(net_bench_output("ip address show a0"), "scope global"));
}

Test(net_change, an_address_has_a_peer_and_lifetimes)
{
	struct net_address one = address_of("10.2.0.1/32");

	cr_assert_eq(net_ip_parse("10.2.0.2", &one.peer, &err), 0);
	one.scope = RT_SCOPE_LINK;
	one.valid_s = 1000;
	one.preferred_s = 500;
	cr_assert_eq(net_address_add(netlink, &one, &err), 0, "%s", err.text);
	expect_output("ip address show a0", "inet 10.2.0.1 peer 10.2.0.2/32 scope link");
	expect_output("ip address show a0", "valid_lft 1000sec preferred_lft 500sec");
}

/* ip(8) fills the namespace, all is read, removed, and added again: it is the same as before. */
static const char network[] =
	"ip link set a0 up\n"
	"ip address add 10.1.0.5/24 dev a0; ip address add 2001:db8::5/64 dev a0 nodad\n"
	"ip address add 10.3.0.5/32 dev a0\n"
	"ip route add 169.254.1.1 dev a0 scope link\n"
	"ip route add default via 169.254.1.1 dev a0 mtu lock 1400 advmss 1200 congctl reno\n"
	"ip route add 10.4.0.0/16 via 10.1.0.1 metric 7 src 10.3.0.5 proto 99 tos 8\n"
	"ip route add 10.5.0.0/16 via 169.254.9.9 dev a0 onlink\n"
	"ip route add 10.6.0.0/16 dev a0 scope link table 1000\n"
	"ip route add default via 10.6.0.1 dev a0 onlink table 1000\n"
	"ip route add blackhole 10.7.0.0/16; ip route add unreachable default metric 4000000\n"
	"ip route add 10.8.0.0/16 nexthop via 10.1.0.1 weight 3 nexthop via 10.1.0.2\n"
	"ip route add 10.9.0.0/16 via inet6 fe80::1 dev a0\n"
	"ip route add 10.10.0.0/16 scope site nexthop via inet6 fe80::1 dev a0 "
	"nexthop via 10.1.0.9 dev a0\n"
	"ip -6 route add default via 2001:db8::1 metric 1024 pref high mtu 1300\n"
	"ip -6 route add 2001:db8:1::/48 via fe80::9 dev a0 src 2001:db8::5 table 500\n"
	"ip -6 route add 2001:db8:2::/48 from 2001:db8:3::/48 dev a0\n"
	"ip -6 route add prohibit 2001:db8:4::/48\n"
	"ip rule add not from 10.0.0.0/8 to 10.9.0.0/16 fwmark 0x5/0xff iif lo oif b0 tos 0x10 "
	"ipproto tcp sport 1-5 dport 80 uidrange 0-0 lookup 1000 suppress_prefixlength 3 "
	"priority 55\n"
	"ip -6 rule add from 2001:db8::/32 lookup 500 priority 5\n"
	"ip rule add blackhole priority 6 iif nosuch; ip rule add goto 32766 priority 7 oif no\n"
	"ip neighbour add 10.1.0.9 lladdr 02:00:00:00:00:09 dev a0 nud permanent\n"
	"ip neighbour add fe80::9 lladdr 02:00:00:00:00:09 dev a0 nud permanent router";

static const char show[] =
	"{ ip rule; ip -6 rule; ip -d route show table all; ip -6 -d route show table all; "
	"ip neighbour show nud permanent; } | grep -v "
	"'^multicast\\|^local\\|^broadcast\\|^anycast' "
	"| sed 's/ *$//' | LC_ALL=C sort";

static bool is_own(const struct net_route *route)
{
	return route->protocol != RTPROT_KERNEL && route->table != RT_TABLE_LOCAL;
}

static size_t keep_own(const struct net_state *state, struct net_route *out)
{
	size_t n = 0;

	for (size_t i = 0; i < state->n_routes; i++)
		if (is_own(&state->routes[i]))
			out[n++] = state->routes[i];
	return n;
}

static void delete_all(const struct net_state *state)
{
	for (size_t i = 0; i < state->n_routes; i++)
		if (is_own(&state->routes[i]))
			cr_assert_eq(net_route_delete(netlink, &state->routes[i], &err), 0,
			             "%zu %s", i, err.text);
	for (size_t i = 0; i < state->n_rules; i++)
		if (!net_rule_is_default(&state->rules[i]))
			cr_assert_eq(net_rule_delete(netlink, &state->rules[i], &err), 0, "%s",
			             err.text);
	for (size_t i = 0; i < state->n_neighbours; i++)
		if (state->neighbours[i].state == NUD_PERMANENT)
			cr_assert_eq(net_neighbour_delete(netlink, &state->neighbours[i], &err), 0,
			             "%s", err.text);
}

static void add_all(const struct net_state *state)
{
	static struct net_route routes[64];
	size_t n = keep_own(state, routes);
	size_t failed = 0;
	char text[NET_ROUTE_TEXT_MAX];

	cr_assert_eq(net_route_add_all(netlink, routes, n, NET_ROUTE_ADD, &failed, &err), 0,
	             "%s: %s", net_route_text(&routes[failed], text), err.text);
	for (size_t i = 0; i < state->n_rules; i++)
		if (!net_rule_is_default(&state->rules[i]))
			cr_assert_eq(net_rule_add(netlink, &state->rules[i], &err), 0, "%s",
			             err.text);
	for (size_t i = 0; i < state->n_neighbours; i++)
		if (state->neighbours[i].state == NUD_PERMANENT)
			cr_assert_eq(net_neighbour_add(netlink, &state->neighbours[i], &err), 0,
			             "%s", err.text);
}

Test(net_change, what_was_read_is_added_as_it_was)
{
	static char before[8192];
	struct net_state state;

	net_bench_run(network);
	snprintf(before, sizeof(before), "%s", net_bench_output(show));
	cr_assert_eq(net_state_read(netlink, &state, &err), 0, "%s", err.text);
	delete_all(&state);
	cr_assert_null(strstr(net_bench_output(show), "10.4.0.0/16"));
	add_all(&state);
	cr_assert_str_eq(net_bench_output(show), before);
	net_state_fini(&state);
}

static struct net_route route_of(const char *destination, const char *gateway)
{
	struct net_route route = { .table = RT_TABLE_MAIN, .type = RTN_UNICAST, .n_hops = 1 };

	cr_assert_eq(net_prefix_parse(destination, &route.destination, &err), 0);
	route.family = route.destination.ip.family;
	route.hops[0].link = link_index;
	if (gateway)
		cr_assert_eq(net_ip_parse(gateway, &route.hops[0].gateway, &err), 0);
	else
		route.scope = RT_SCOPE_LINK;
	return route;
}

Test(net_change, routes_are_added_after_those_that_their_gateways_are_reached_by)
{
	struct net_route routes[] = {
		route_of("0.0.0.0/0", "169.254.1.1"),  route_of("10.60.0.0/16", "10.50.0.1"),
		route_of("10.50.0.0/16", NULL),        route_of("169.254.1.1/32", NULL),
		route_of("::/0", "2001:db8:9::1"),     route_of("2001:db8:9::1/128", NULL),
		route_of("10.70.0.0/16", "10.99.0.1"),
	};
	size_t n = sizeof(routes) / sizeof(routes[0]);
	size_t failed;

	raise_link();
	net_bench_run(
		"ip address add 10.1.0.5/32 dev a0; ip address add 2001:db8::5/128 dev a0 nodad");
	routes[6].hops[0].flags = RTNH_F_ONLINK;
	cr_assert_eq(net_route_add_all(netlink, routes, n, NET_ROUTE_ADD, &failed, &err), 0, "%s",
	             err.text);
	expect_output("ip route", "default via 169.254.1.1 dev a0");
	expect_output("ip -6 route", "default via 2001:db8:9::1 dev a0");
	cr_assert_eq(net_route_add_all(netlink, routes, n, NET_ROUTE_ADD, &failed, &err), -EEXIST);
	cr_assert_eq(net_route_add_all(netlink, routes, n, NET_ROUTE_REPLACE, &failed, &err), 0,
	             "%s", err.text);
	cr_assert_eq(net_route_add_all(netlink, NULL, 0, NET_ROUTE_ADD, &failed, &err), 0);
}

Test(net_change, a_route_whose_gateway_nobody_can_reach_is_named)
{
	struct net_route routes[] = {
		route_of("10.60.0.0/16", "10.50.0.1"),
		route_of("0.0.0.0/0", "10.99.0.1"),
		route_of("10.50.0.0/16", NULL),
	};
	size_t failed = 99;
	char text[NET_ROUTE_TEXT_MAX];

	raise_link();
	cr_assert_eq(net_route_add_all(netlink, routes, 3, NET_ROUTE_ADD, &failed, &err),
	             -ENETUNREACH);
	cr_assert_eq(failed, 1);
	cr_assert_str_eq(net_route_text(&routes[failed], text), "default via 10.99.0.1");
}

/* A request that the socket sends to itself, and that the kernel knows nothing of. */
Test(net_change, an_answer_that_does_not_come_is_waited_for_with_a_deadline)
{
	struct net_link_change up = { .flags = IFF_UP, .flags_mask = IFF_UP };
	struct nl_sock *nl = net_socket_nl(netlink);
	struct timeval timeout = { 0 };
	socklen_t size = sizeof(timeout);

	cr_assert_eq(getsockopt(nl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &timeout, &size), 0);
	cr_assert_eq(timeout.tv_sec * 1000, NET_SOCKET_TIMEOUT_MS);
	timeout = (struct timeval){ .tv_usec = 10000 };
	setsockopt(nl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	nl_socket_set_peer_port(nl, nl_socket_get_local_port(nl));
	cr_assert_lt(net_link_set(netlink, link_index, &up, &err), 0);
	cr_assert_eq(err.code, ERROR_DEADLINE_EXCEEDED, "%s", err.text);
	cr_assert_str_eq(err.text, "no answer from the kernel in 5000 ms");
}

Test(net_change, a_request_without_rights_is_an_error)
{
	struct net_link_change up = { .flags = IFF_UP, .flags_mask = IFF_UP };

	if (seteuid(65534) < 0)
		cr_skip("there is no other user: %s", strerror(errno));
	cr_assert_eq(net_link_set(netlink, link_index, &up, &err), -EPERM);
	cr_assert_eq(seteuid(0), 0);
}
