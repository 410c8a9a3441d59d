/* A namespace that ip(8) has filled, as messages, and read from them again. */
#include "proto/network/network_message.h"

#include <criterion/criterion.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/mem.h"
#include "common/netlink/net_socket.h"
#include "common/netlink/net_state.h"
#include "proto/message.h"
#include "proto/network/network_default.h"
#include "proto/network/network_parse.h"
#include "test/lib/net_bench.h"

static struct net_state state;
static struct network_links links;
static struct error err;

static const char network[] =
	"ip link add a0 type veth peer name b0; ip link set a0 up; ip link set b0 up\n"
	"ip address add 10.1.0.5/24 brd + dev a0; ip address add 2001:db8::5/64 dev a0 nodad\n"
	"ip address add 10.2.0.1 peer 10.2.0.2/32 dev a0 scope link label a0:x metric 5\n"
	"ip route add default via 10.1.0.1 mtu lock 1400 advmss 1200 congctl reno\n"
	"ip route add 10.4.0.0/16 via 10.1.0.1 src 10.1.0.5\n"
	"ip route add 10.5.0.0/16 via 169.254.9.9 dev a0 onlink mtu 1300\n"
	"ip route add 10.6.0.0/16 dev a0 scope link table 1000 metric 7 tos 8\n"
	"ip route add blackhole 10.7.0.0/16\n"
	"ip route add 10.8.0.0/16 nexthop via 10.1.0.1 weight 3 nexthop via inet6 fe80::1 dev a0\n"
	"ip -6 route add default via 2001:db8::1 pref high\n"
	"ip -6 route add 2001:db8:1::/48 via fe80::9 dev a0\n"
	"ip -6 route add 2001:db8:2::/48 from 2001:db8:3::/48 dev a0\n"
	"ip rule add not from 10.0.0.0/8 to 10.9.0.0/16 fwmark 0x5/0xff iif lo oif b0 tos 0x10 "
	"ipproto tcp sport 1-5 dport 80 uidrange 0-0 lookup 1000 suppress_prefixlength 3 "
	"suppress_ifgroup 5 priority 55\n"
	"ip rule add goto 32766 priority 7 oif no\n"
	"ip neighbour add 10.1.0.9 lladdr 02:00:00:00:00:09 dev a0 nud permanent\n";

static void setup(void)
{
	struct net_socket *socket;

	net_bench_enter();
	net_bench_run(network);
	cr_assert_eq(net_socket_open(NET_SOCKET_HERE, &socket, &err), 0, "%s", err.text);
	cr_assert_eq(net_state_read(socket, &state, &err), 0, "%s", err.text);
	net_socket_destroy(socket);
	links = (struct network_links){ state.links, state.n_links };
}

static void teardown(void)
{
	net_state_fini(&state);
}

TestSuite(network_message, .init = setup, .fini = teardown, .timeout = 120);

/* Over the wire, as it comes; frees @message. */
static ProtobufCMessage *send_message(ProtobufCMessage *message)
{
	ProtobufCBinaryData bytes = message_encode(message);
	ProtobufCMessage *received = NULL;

	cr_assert_eq(message_decode(message->descriptor, bytes.data, bytes.len, &received, &err), 0,
	             "%s", err.text);
	free(bytes.data);
	message_free(message);
	return received;
}

static void expect_equal_routes(const struct net_route *a, const struct net_route *b)
{
	char text[NET_ROUTE_TEXT_MAX];

	net_route_text(a, text);
	cr_expect(a->family == b->family && a->scope == b->scope && a->type == b->type, "%s", text);
	cr_expect(net_prefix_equal(&a->destination, &b->destination), "%s", text);
	cr_expect(net_prefix_equal(&a->source, &b->source), "%s", text);
	cr_expect(net_ip_equal(&a->preferred_source, &b->preferred_source), "%s", text);
	cr_expect(a->protocol == b->protocol && a->tos == b->tos, "%s", text);
	cr_expect(a->preference == b->preference && a->table == b->table, "%s", text);
	cr_expect(!memcmp(a->metrics, b->metrics, sizeof(a->metrics)), "%s", text);
	cr_expect_str_eq(a->congestion, b->congestion);
	cr_expect_eq(a->n_hops, b->n_hops, "%s", text);
	for (size_t i = 0; i < a->n_hops; i++) {
		cr_expect_eq(a->hops[i].link, b->hops[i].link, "%s", text);
		cr_expect_eq(a->hops[i].weight, b->hops[i].weight, "%s", text);
		cr_expect_eq(a->hops[i].flags, b->hops[i].flags, "%s", text);
		cr_expect(net_ip_equal(&a->hops[i].gateway, &b->hops[i].gateway), "%s", text);
	}
}

Test(network_message, routes_are_the_same_with_details_and_without_if_they_are_plain)
{
	size_t plain = 0;

	for (size_t i = 0; i < state.n_routes; i++) {
		const struct net_route *route = &state.routes[i];
		ProtobufCMessage *message;
		struct net_route read;

		message = send_message(&network_route_message(route, &links, true)->base);
		cr_assert_eq(network_route_parse((Types__Route *)message, &links, &read, &err), 0,
		             "%s", err.text);
		message_free(message);
		expect_equal_routes(route, &read);
		cr_expect_eq(read.metric, route->metric);
		if (!network_route_is_plain(route))
			continue;
		plain++;
		message = send_message(&network_route_message(route, &links, false)->base);
		cr_assert_eq(network_route_parse((Types__Route *)message, &links, &read, &err), 0,
		             "%s", err.text);
		message_free(message);
		read.protocol = route->protocol; /* is not told */
		read.metrics[RTAX_LOCK] = route->metrics[RTAX_LOCK];
		expect_equal_routes(route, &read);
	}
	cr_expect_gt(plain, 3);
}

static const struct net_route *route_of(const char *expected)
{
	char text[NET_ROUTE_TEXT_MAX];

	for (size_t i = 0; i < state.n_routes; i++)
		if (!strcmp(net_route_text(&state.routes[i], text), expected))
			return &state.routes[i];
	cr_assert_fail("no route %s", expected);
	return NULL;
}

Test(network_message, a_route_is_plain_when_upstreams_fields_say_it)
{
	static const char *const plain[] = { "10.4.0.0/16 via 10.1.0.1",
		                             "10.5.0.0/16 via 169.254.9.9",
		                             "2001:db8:1::/48 via fe80::9 metric 1024" };
	static const char *const others[] = { "default via 10.1.0.1",
		                              "10.6.0.0/16 table 1000 metric 7", "10.7.0.0/16",
		                              "10.8.0.0/16 via 10.1.0.1 via fe80::1",
		                              "default via 2001:db8::1 metric 1024" };

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		cr_expect(network_route_is_plain(route_of(plain[i])), "%s", plain[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_not(network_route_is_plain(route_of(others[i])), "%s", others[i]);
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

static struct net_address read_address(const struct net_address *address, bool details)
{
	ProtobufCMessage *message = send_message(&network_address_message(address, details)->base);
	struct net_address read;

	cr_assert_eq(network_address_parse((Types__IPAddress *)message, &read, &err), 0, "%s",
	             err.text);
	message_free(message);
	cr_expect(net_prefix_equal(&read.own, &address->own));
	cr_expect(net_ip_equal(&read.broadcast, &address->broadcast));
	return read;
}

Test(network_message, addresses_are_the_same)
{
	const struct net_address *one = address_of("10.2.0.1/32");
	struct net_address read = read_address(one, true);

	cr_expect(net_ip_equal(&read.peer, &one->peer));
	cr_expect_eq(read.scope, RT_SCOPE_LINK);
	cr_expect_eq(read.metric, 5);
	cr_expect_str_eq(read.label, "a0:x");
	cr_expect_not(network_address_is_plain(one));
	cr_expect(network_address_is_plain(address_of("10.1.0.5/24")));
	cr_expect(network_address_is_plain(address_of("2001:db8::5/64")));
	read_address(address_of("10.1.0.5/24"), false);
	read = read_address(address_of("2001:db8::5/64"), false);
	cr_expect_eq(read.valid_s, UINT32_MAX);
}

Test(network_message, rules_are_the_same)
{
	size_t others = 0;

	for (size_t i = 0; i < state.n_rules; i++) {
		ProtobufCMessage *message =
			send_message(&network_rule_message(&state.rules[i])->base);
		struct net_rule read;

		cr_assert_eq(network_rule_parse((Types__Rule *)message, &read, &err), 0, "%s",
		             err.text);
		message_free(message);
		cr_expect(net_rule_equal(&read, &state.rules[i]), "priority %u", read.priority);
		others += !net_rule_is_default(&read);
		read.mark++;
		cr_expect_not(net_rule_equal(&read, &state.rules[i]));
	}
	cr_expect_eq(others, 2);
}

Test(network_message, neighbours_are_the_same)
{
	size_t n = 0;

	for (size_t i = 0; i < state.n_neighbours; i++) {
		const struct net_neighbour *one = &state.neighbours[i];
		ProtobufCMessage *message;
		struct net_neighbour read;

		if (one->state != NUD_PERMANENT)
			continue;
		n++;
		message = send_message(&network_neighbour_message(one, &links)->base);
		cr_assert_eq(
			network_neighbour_parse((Types__ARPNeighbor *)message, &links, &read, &err),
			0, "%s", err.text);
		message_free(message);
		cr_expect(net_ip_equal(&read.ip, &one->ip) && net_mac_equal(&read.mac, &one->mac));
		cr_expect(read.link == one->link && read.state == one->state);
	}
	cr_assert_eq(n, 1);
}

Test(network_message, the_last_address_of_a_network_is_its_broadcast)
{
	static const char *const rows[][2] = {
		{ "10.1.0.5/24", "10.1.0.255" },
		{ "10.1.0.5/9", "10.127.255.255" },
		{ "10.1.0.5/30", "10.1.0.7" },
		{ "10.1.0.5/31", "" },
		{ "10.1.0.5/32", "" },
		{ "1.2.3.4/0", "255.255.255.255" },
		{ "fe80::1/64", "" },
	};
	char text[NET_IP_TEXT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_prefix own;
		struct net_ip broadcast;

		cr_assert_eq(net_prefix_parse(rows[i][0], &own, &err), 0);
		broadcast = network_default_broadcast(&own);
		cr_expect_str_eq(net_ip_text(&broadcast, text), rows[i][1], "%s", rows[i][0]);
	}
}

Test(network_message, a_route_beyond_a_limit_is_refused)
{
	Types__Route route = TYPES__ROUTE__INIT;
	Types__RouteDetails details = TYPES__ROUTE_DETAILS__INIT;
	Types__NextHop hop = TYPES__NEXT_HOP__INIT;
	Types__NextHop *hops[NET_NEXTHOPS_MAX + 1];
	uint32_t metrics[NET_METRICS + 1] = { 0 };
	struct net_route read = { .tos = 77 };

	for (size_t i = 0; i <= NET_NEXTHOPS_MAX; i++)
		hops[i] = &hop;
	route.details = &details;
	details.hops = hops;
	details.n_hops = NET_NEXTHOPS_MAX + 1;
	cr_expect_lt(network_route_parse(&route, &links, &read, &err), 0);
	cr_expect_str_eq(err.text, "17 hops: the limit is 16");
	details.n_hops = 0;
	details.metrics = metrics;
	details.n_metrics = NET_METRICS + 1;
	cr_expect_lt(network_route_parse(&route, &links, &read, &err), 0);
	details.n_metrics = NET_METRICS;
	details.congestion = (char *)"0123456789abcdef";
	cr_expect_lt(network_route_parse(&route, &links, &read, &err), 0);
	details.congestion = (char *)"";
	details.tos = 256;
	cr_expect_lt(network_route_parse(&route, &links, &read, &err), 0);
	cr_expect_str_eq(err.text, "invalid tos 256");
	cr_expect_eq(read.tos, 77, "the output is untouched");
	details.tos = 255;
	cr_expect_eq(network_route_parse(&route, &links, &read, &err), 0, "%s", err.text);
}
