/*
 * The calls about the network, in a namespace of the kernel's: veths stand in for cards, ip(8) says
 * what has become of them.
 */
#include <criterion/criterion.h>
#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/guest/network.h"
#include "common/mem.h"
#include "host.h"
#include "proto/limits.h"
#include "proto/ttrpc/ttrpc_client.h"
#include "test/lib/net_bench.h"

#define MAC "02:00:00:00:00:0a"

static struct host host;

/* Of one call: its error, or its answer as lines. */
static struct answer {
	bool done;
	struct error err;
	char text[4096];
} answer;

static void setup(void)
{
	net_bench_enter();
	net_bench_run("ip link add card0 address " MAC " type veth peer name far0\n"
	              "ip link set far0 up");
	host_init(&host);
}

static void teardown(void)
{
	host_fini(&host);
}

TestSuite(network, .init = setup, .fini = teardown, .timeout = 120);

static void add_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void add_line(const char *format, ...)
{
	size_t len = strlen(answer.text);
	va_list args;

	va_start(args, format);
	vsnprintf(answer.text + len, sizeof(answer.text) - len, format, args);
	va_end(args);
}

static void describe_interface(const Types__Interface *one)
{
	add_line("%s %s mtu %u", one->name, one->hwaddr, (unsigned int)one->mtu);
	for (size_t i = 0; i < one->n_ipaddresses; i++)
		add_line(" %s/%s", one->ipaddresses[i]->address, one->ipaddresses[i]->mask);
	add_line("\n");
}

static void describe_routes(const Grpc__Routes *routes)
{
	for (size_t i = 0; i < routes->n_routes; i++) {
		const Types__Route *one = routes->routes[i];

		add_line("%s via %s dev %s src %s scope %u metric %u\n", one->dest, one->gateway,
		         one->device, one->details->preferred_source, one->scope,
		         one->details->metric);
	}
}

static void on_answer(void *ctx, const ProtobufCMessage *message, const struct error *err)
{
	answer.done = true;
	error_copy(&answer.err, err);
	if (!message)
		return;
	if (message->descriptor == &types__interface__descriptor)
		describe_interface((const Types__Interface *)message);
	if (message->descriptor == &grpc__interfaces__descriptor)
		for (size_t i = 0; i < ((const Grpc__Interfaces *)message)->n_interfaces; i++)
			describe_interface(((const Grpc__Interfaces *)message)->interfaces[i]);
	if (message->descriptor == &grpc__routes__descriptor)
		describe_routes((const Grpc__Routes *)message);
}

static void begin(const char *method, const ProtobufCMessage *request,
                  const ProtobufCMessageDescriptor *type)
{
	answer = (struct answer){ .done = false };
	cr_assert_eq(ttrpc_client_call(host.client, "grpc.AgentService", method, request, type, 0,
	                               on_answer, NULL, NULL, NULL),
	             0);
}

static enum error_code finish(void)
{
	while (!answer.done)
		host_turn(&host);
	return answer.err.code;
}

static enum error_code call(const char *method, const ProtobufCMessage *request,
                            const ProtobufCMessageDescriptor *type)
{
	begin(method, request, type);
	return finish();
}

/* An interface with addresses: "10.1.0.5/24", NULL at the end. */
struct interface {
	Types__Interface message;
	Types__IPAddress addresses[8];
	Types__IPAddress *pointers[8];
	char text[8][64];
};

static Types__Interface *fill(struct interface *interface, const char *name, const char *mac,
                              const char *const *addresses)
{
	Types__Interface *message = &interface->message;

	types__interface__init(message);
	message->name = (char *)name;
	message->hwaddr = (char *)mac;
	message->mtu = 1400;
	message->ipaddresses = interface->pointers;
	for (size_t i = 0; addresses && addresses[i]; i++) {
		Types__IPAddress *one = &interface->addresses[i];
		char *slash;

		types__ipaddress__init(one);
		snprintf(interface->text[i], sizeof(interface->text[i]), "%s", addresses[i]);
		slash = strchr(interface->text[i], '/');
		*slash = '\0';
		one->family = strchr(addresses[i], ':') ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
		one->address = interface->text[i];
		one->mask = slash + 1;
		interface->pointers[i] = one;
		message->n_ipaddresses = i + 1;
	}
	return message;
}

static void begin_update(Types__Interface *interface)
{
	Grpc__UpdateInterfaceRequest request = GRPC__UPDATE_INTERFACE_REQUEST__INIT;

	request.interface = interface;
	begin("UpdateInterface", &request.base, &types__interface__descriptor);
}

static enum error_code update(Types__Interface *interface)
{
	begin_update(interface);
	return finish();
}

static void expect_output(const char *command, const char *expected)
{
	const char *output = net_bench_output(command);

	cr_expect(strstr(output, expected), "%s: no \"%s\" in\n%s", command, expected, output);
}

static const char *const two_addresses[] = { "10.1.0.5/24", "2001:db8::5/64", NULL };

Test(network, an_interface_gets_name_mtu_and_addresses_that_are_usable_at_once)
{
	struct interface interface;

	fill(&interface, "eth0", "02:00:00:00:00:0A", two_addresses);
	cr_assert_eq(update(&interface.message), ERROR_NONE, "%s", answer.err.text);
	cr_assert_str_eq(answer.text, "eth0 02:00:00:00:00:0A mtu 1400 10.1.0.5/24 "
	                              "2001:db8::5/64\n");
	expect_output("ip link show eth0", "UP,LOWER_UP> mtu 1400");
	expect_output("ip address show eth0", "inet 10.1.0.5/24 brd 10.1.0.255 scope global eth0");
	expect_output("ip address show eth0", "inet6 2001:db8::5/64 scope global nodad");
	cr_assert_null(strstr(net_bench_output("ip address show eth0"), "tentative"));
	cr_assert_null(strstr(net_bench_output("ip address show eth0"), "fe80"),
	               "the kernel makes none");
}

Test(network, an_interface_that_is_updated_again_has_the_new_addresses_only)
{
	static const char *const others[] = { "10.1.0.5/24", "10.2.0.5/16", "fe80::5/64", NULL };
	struct interface interface;

	fill(&interface, "eth0", MAC, two_addresses);
	cr_assert_eq(update(&interface.message), ERROR_NONE, "%s", answer.err.text);
	net_bench_run("ip address add 10.1.0.6/24 dev eth0; ip route add 10.9.0.0/16 via 10.1.0.1");
	fill(&interface, "eth0", MAC, others);
	interface.message.raw_flags = 0x80; /* IFF_NOARP */
	cr_assert_eq(update(&interface.message), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip address show eth0", "10.1.0.5/24");
	expect_output("ip address show eth0", "10.2.0.5/16 brd 10.2.255.255");
	expect_output("ip address show eth0", "fe80::5/64");
	expect_output("ip link show eth0", "NOARP");
	expect_output("ip route", "10.9.0.0/16 via 10.1.0.1"); /* what stays is not touched */
	cr_assert_null(strstr(net_bench_output("ip address show eth0"), "2001:db8"));
	cr_assert_null(strstr(net_bench_output("ip address show eth0"), "10.1.0.6"));
}

Test(network, an_interface_that_has_the_name_gets_the_others)
{
	struct interface interface;

	net_bench_run("ip link add eth0 address 02:00:00:00:00:0b type veth peer name far1\n"
	              "ip link set card0 name eth1");
	fill(&interface, "eth0", MAC, NULL);
	cr_assert_eq(update(&interface.message), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip link show eth0", MAC);
	expect_output("ip link show eth1", "02:00:00:00:00:0b");
}

Test(network, an_interface_is_renamed_while_it_is_up)
{
	struct interface interface;

	fill(&interface, "eth0", MAC, two_addresses);
	cr_assert_eq(update(&interface.message), ERROR_NONE, "%s", answer.err.text);
	interface.message.name = (char *)"net1";
	cr_assert_eq(update(&interface.message), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip address show net1", "inet 10.1.0.5/24");
	expect_output("ip address show net1", "inet6 2001:db8::5/64");
	expect_output("ip link show net1", "UP,LOWER_UP");
}

/* One setting of card0's, with that answer. */
static enum error_code set(const char *name, const char *value)
{
	Types__LinkSetting setting = TYPES__LINK_SETTING__INIT, *all = &setting;
	struct interface interface;

	setting.name = (char *)name;
	setting.value = (char *)value;
	fill(&interface, "eth0", MAC, NULL);
	interface.message.settings = &all;
	interface.message.n_settings = 1;
	return update(&interface.message);
}

Test(network, an_interface_gets_the_settings_that_are_told)
{
	cr_expect_eq(set("ipv4/conf/log_martians", "1"), ERROR_NONE, "%s", answer.err.text);
	expect_output("cat /proc/sys/net/ipv4/conf/eth0/log_martians", "1");
	expect_output("cat /proc/sys/net/ipv4/conf/default/log_martians", "0");
	cr_expect_eq(set("ipv6/neigh/gc_stale_time", "77"), ERROR_NONE, "%s", answer.err.text);
	expect_output("cat /proc/sys/net/ipv6/neigh/eth0/gc_stale_time", "77");
}

Test(network, a_setting_that_the_kernel_does_not_take_is_passed_over)
{
	cr_expect_eq(set("ipv4/conf/of_a_later_kernel", "1"), ERROR_NONE, "%s", answer.err.text);
	cr_expect_eq(set("ipv4/neigh/gc_stale_time", "soon"), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip link show eth0", "UP,LOWER_UP> mtu 1400");
}

Test(network, a_setting_of_anything_but_a_link_is_refused)
{
	static const char *const names[] = {
		"",
		"ipv4/ip_forward",
		"ipv4/conf/",
		"ipv4/conf/all/forwarding",
		"core/conf/x",
		"ipv4/conf/../x",
		"ipv4/conf/FORWARDING",
		"/ipv4/conf/forwarding",
	};
	char text[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cr_expect_eq(set(names[i], "1"), ERROR_INVALID_ARGUMENT, "%s", names[i]);
		snprintf(text, sizeof(text),
		         "interface \"eth0\": invalid setting \"%s\": not one of a link", names[i]);
		cr_expect_str_eq(answer.err.text, text);
	}
	cr_expect_eq(set("ipv4/conf/forwarding", "1\n1"), ERROR_INVALID_ARGUMENT);
	cr_expect_eq(set("ipv4/conf/forwarding", ""), ERROR_INVALID_ARGUMENT);
}

Test(network, an_interface_without_ipv6_gets_none)
{
	struct interface interface;

	net_bench_run("echo 1 >/proc/sys/net/ipv6/conf/card0/disable_ipv6");
	fill(&interface, "eth0", MAC, two_addresses);
	cr_assert_eq(update(&interface.message), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip address show eth0", "10.1.0.5/24");
	cr_assert_null(strstr(net_bench_output("ip address show eth0"), "inet6"));
}

Test(network, an_interface_is_waited_for)
{
	struct interface interface;

	fill(&interface, "eth0", "02:00:00:00:00:0c", two_addresses);
	begin_update(&interface.message);
	for (int i = 0; i < 3; i++)
		ev_run(host.loop, EVRUN_NOWAIT);
	cr_assert_not(answer.done);
	net_bench_run("ip link add late address 02:00:00:00:00:0c type veth peer name far1");
	cr_assert_eq(finish(), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip address show eth0", "10.1.0.5/24");
}

static void pass_deadline(void)
{
	ev_now_update(host.loop);
	while (!answer.done)
		host_turn(&host);
}

Test(network, an_interface_that_does_not_come_is_an_error)
{
	struct interface interface;

	fill(&interface, "eth0", "02:00:00:00:00:0c", NULL);
	begin_update(&interface.message);
	pass_deadline();
	cr_assert_eq(answer.err.code, ERROR_DEADLINE_EXCEEDED);
	cr_assert_str_eq(answer.err.text,
	                 "interface \"eth0\": not within 1000 ms: no link with the "
	                 "MAC address \"02:00:00:00:00:0c\"");
	interface.message.devicepath = (char *)"1e/1f";
	begin_update(&interface.message);
	pass_deadline();
	cr_assert_str_eq(answer.err.text,
	                 "interface \"eth0\": not within 1000 ms: no network card at \"1e/1f\"");
}

Test(network, a_link_that_is_down_is_found_by_its_name_at_last)
{
	struct interface interface;

	fill(&interface, "card0", "02:00:00:00:00:0c", NULL);
	begin_update(&interface.message);
	pass_deadline();
	cr_assert_eq(answer.err.code, ERROR_NONE, "%s", answer.err.text);
	expect_output("ip link show card0", "02:00:00:00:00:0c");
	interface.message.hwaddr = (char *)"";
	interface.message.mtu = 1300;
	cr_assert_eq(update(&interface.message), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip link show card0", "mtu 1300");
	interface.message.name = (char *)"nosuch";
	cr_assert_eq(update(&interface.message), ERROR_NOT_FOUND);
	cr_assert_str_eq(answer.err.text, "interface \"nosuch\": no link \"nosuch\"");
}

Test(network, an_update_that_waits_fails_when_the_sandbox_goes)
{
	struct interface interface;

	fill(&interface, "eth0", "02:00:00:00:00:0c", NULL);
	begin_update(&interface.message);
	for (int i = 0; i < 3; i++)
		ev_run(host.loop, EVRUN_NOWAIT);
	network_destroy(take_ptr(&host.network));
	cr_assert_eq(finish(), ERROR_ABORTED);
}

Test(network, an_interface_that_is_wrong_is_refused_and_named)
{
	static const struct {
		const char *name;
		const char *mac;
		const char *addresses[2];
		const char *text;
	} rows[] = {
		{ "a/b", MAC, { NULL }, "interface \"a/b\": invalid name \"a/b\"" },
		{ "eth0", "xx", { NULL }, "interface \"eth0\": invalid MAC address \"xx\"" },
		{ "eth0",
		  MAC,
		  { "10.1.0.5/33" },
		  "interface \"eth0\": invalid address \"10.1.0.5/33\"" },
		{ "eth0",
		  MAC,
		  { "nosuch/24" },
		  "interface \"eth0\": invalid address \"nosuch/24\"" },
		{ "lo", "", { NULL }, "interface \"lo\": it is the loopback interface" },
	};
	struct interface interface;
	Grpc__UpdateInterfaceRequest none = GRPC__UPDATE_INTERFACE_REQUEST__INIT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fill(&interface, rows[i].name, rows[i].mac, rows[i].addresses);
		cr_expect_eq(update(&interface.message), ERROR_INVALID_ARGUMENT, "row %zu", i);
		cr_expect_str_eq(answer.err.text, rows[i].text);
	}
	fill(&interface, "eth0", MAC, NULL);
	interface.message.mtu = 1ULL << 40;
	cr_expect_eq(update(&interface.message), ERROR_INVALID_ARGUMENT);
	interface.message.mtu = 1000000;
	cr_expect_neq(update(&interface.message), ERROR_NONE);
	cr_expect(strstr(answer.err.text, "interface \"eth0\": cannot set mtu 1000000 and flags: "),
	          "%s", answer.err.text);
	interface.message.devicepath = (char *)"zz";
	cr_expect_eq(update(&interface.message), ERROR_INVALID_ARGUMENT);
	cr_expect_str_eq(answer.err.text, "interface \"eth0\": invalid devicePath \"zz\"");
	cr_expect_eq(call("UpdateInterface", &none.base, &types__interface__descriptor),
	             ERROR_INVALID_ARGUMENT);
	cr_expect_str_eq(answer.err.text, "UpdateInterface: no interface");
}

Test(network, too_many_addresses_are_refused)
{
	static Types__IPAddress address = TYPES__IPADDRESS__INIT;
	static Types__IPAddress *addresses[LIMIT_ADDRESSES + 1];
	struct interface interface;

	fill(&interface, "eth0", MAC, NULL);
	for (size_t i = 0; i <= LIMIT_ADDRESSES; i++)
		addresses[i] = &address;
	interface.message.ipaddresses = addresses;
	interface.message.n_ipaddresses = LIMIT_ADDRESSES + 1;
	cr_assert_eq(update(&interface.message), ERROR_INVALID_ARGUMENT);
	cr_assert_str_eq(answer.err.text, "interface \"eth0\": 257 addresses: the limit is 256");
}

static void add_eth0(void)
{
	struct interface interface;

	fill(&interface, "eth0", MAC, two_addresses);
	cr_assert_eq(update(&interface.message), ERROR_NONE, "%s", answer.err.text);
}

Test(network, interfaces_are_listed)
{
	Grpc__ListInterfacesRequest request = GRPC__LIST_INTERFACES_REQUEST__INIT;

	add_eth0();
	cr_assert_eq(call("ListInterfaces", &request.base, &grpc__interfaces__descriptor),
	             ERROR_NONE);
	cr_assert(strstr(answer.text, "lo 00:00:00:00:00:00 mtu 65536 127.0.0.1/8 ::1/128\n"), "%s",
	          answer.text);
	cr_assert(strstr(answer.text, "eth0 " MAC " mtu 1400 10.1.0.5/24 2001:db8::5/64\n"), "%s",
	          answer.text);
}

#define ROUTES_MAX 8

static struct {
	Grpc__UpdateRoutesRequest request;
	Grpc__Routes list;
	Types__Route routes[ROUTES_MAX];
	Types__RouteDetails details[ROUTES_MAX];
	Types__Route *pointers[ROUTES_MAX];
} routes;

static void begin_routes(void)
{
	grpc__update_routes_request__init(&routes.request);
	grpc__routes__init(&routes.list);
	routes.request.routes = &routes.list;
	routes.list.routes = routes.pointers;
}

static Types__Route *add_route(const char *dest, const char *gateway)
{
	size_t i = routes.list.n_routes++;
	Types__Route *one = &routes.routes[i];

	types__route__init(one);
	one->dest = (char *)dest;
	one->gateway = (char *)gateway;
	one->device = (char *)"eth0";
	if (strchr(dest, ':') || strchr(gateway, ':'))
		one->family = TYPES__IPFAMILY__v6;
	routes.pointers[i] = one;
	return one;
}

static Types__RouteDetails *add_details(Types__Route *one)
{
	Types__RouteDetails *details = &routes.details[one - routes.routes];

	types__route_details__init(details);
	one->details = details;
	return details;
}

static enum error_code update_routes(void)
{
	return call("UpdateRoutes", &routes.request.base, &grpc__routes__descriptor);
}

Test(network, routes_of_upstreams_runtime_are_added_in_an_order_that_works)
{
	add_eth0();
	begin_routes();
	add_route("", "169.254.1.1")->source = (char *)"10.1.0.5";
	add_route("169.254.1.1/32", "")->scope = 253;
	add_route("", "2001:db8:9::1");
	add_route("2001:db8:9::1/128", "");
	add_route("10.5.0.0/16", "10.99.0.1")->flags = 4; /* RTNH_F_ONLINK */
	add_route("10.6.0.0/16", "10.1.0.1")->mtu = 1300;
	cr_assert_eq(update_routes(), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip route", "default via 169.254.1.1 dev eth0 src 10.1.0.5 ");
	expect_output("ip route", "169.254.1.1 dev eth0 scope link");
	expect_output("ip route", "10.5.0.0/16 via 10.99.0.1 dev eth0 onlink");
	expect_output("ip route", "10.6.0.0/16 via 10.1.0.1 dev eth0 mtu 1300");
	expect_output("ip -6 route", "default via 2001:db8:9::1 dev eth0");
	cr_assert(strstr(answer.text, " via 169.254.1.1 dev eth0 src 10.1.0.5 scope 0 metric 0\n"),
	          "%s", answer.text);
	cr_assert_eq(update_routes(), ERROR_NONE, "again: %s", answer.err.text);
}

Test(network, routes_have_the_details_that_our_runtime_tells)
{
	Types__NextHop hops[2] = { TYPES__NEXT_HOP__INIT, TYPES__NEXT_HOP__INIT };
	Types__NextHop *pointers[2] = { &hops[0], &hops[1] };
	uint32_t metrics[9] = { [2] = 1280, [8] = 1200 };
	Types__RouteDetails *one;

	add_eth0();
	begin_routes();
	one = add_details(add_route("10.7.0.0/16", ""));
	hops[0].gateway = (char *)"10.1.0.1";
	hops[1].gateway = (char *)"fe80::9";
	hops[0].device = hops[1].device = (char *)"eth0";
	hops[1].weight = 4;
	one->hops = pointers;
	one->n_hops = 2;
	one->metrics = metrics;
	one->n_metrics = 9;
	one->metric = 7;
	one->table = 1000;
	one->protocol = 199;
	one->preferred_source = (char *)"10.1.0.5";
	one->congestion = (char *)"reno";
	one = add_details(add_route("10.8.0.0/16", ""));
	one->type = 6; /* RTN_BLACKHOLE */
	cr_assert_eq(update_routes(), ERROR_NONE, "%s", answer.err.text);
	expect_output(
		"ip route show table 1000",
		"10.7.0.0/16 proto 199 src 10.1.0.5 metric 7 mtu 1280 advmss 1200 congctl reno");
	expect_output("ip route show table 1000", "nexthop via 10.1.0.1 dev eth0 weight 1");
	expect_output("ip route show table 1000", "nexthop via inet6 fe80::9 dev eth0 weight 5");
	expect_output("ip route", "blackhole 10.8.0.0/16");
}

Test(network, an_exact_update_deletes_what_the_last_one_set_and_nothing_else)
{
	Types__Rule rule = TYPES__RULE__INIT;
	Types__Rule *rules[1] = { &rule };

	add_eth0();
	net_bench_run("ip route add 10.90.0.0/16 dev eth0");
	rule.action = 1; /* FR_ACT_TO_TBL */
	rule.table = 1000;
	rule.priority = 55;
	rule.source = (char *)"10.0.0.0/8";
	begin_routes();
	routes.request.exact = 1;
	routes.request.rules = rules;
	routes.request.n_rules = 1;
	add_route("10.7.0.0/16", "");
	add_route("10.8.0.0/16", "");
	add_route("2001:db8:8::/48", "");
	cr_assert_eq(update_routes(), ERROR_NONE, "%s", answer.err.text);
	cr_assert_eq(update_routes(), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip rule", "55:\tfrom 10.0.0.0/8 lookup 1000");
	expect_output("ip route", "10.7.0.0/16 dev eth0");
	begin_routes();
	routes.request.exact = 1;
	add_route("10.8.0.0/16", "10.1.0.1");
	cr_assert_eq(update_routes(), ERROR_NONE, "%s", answer.err.text);
	expect_output("ip route", "10.8.0.0/16 via 10.1.0.1");
	expect_output("ip route", "10.90.0.0/16 dev eth0");
	cr_assert_null(strstr(net_bench_output("ip route"), "10.7.0.0/16"));
	cr_assert_null(strstr(net_bench_output("ip -6 route"), "2001:db8:8::/48"));
	cr_assert_null(strstr(net_bench_output("ip rule"), "10.0.0.0/8"));
}

Test(network, a_route_that_is_wrong_is_refused_and_named)
{
	static Types__Route *many[LIMIT_ROUTES + 1];

	add_eth0();
	begin_routes();
	add_route("", "10.50.0.1");
	cr_assert_eq(update_routes(), ERROR_UNKNOWN);
	cr_assert_str_eq(answer.err.text,
	                 "cannot add the route \"default via 10.50.0.1\": Network is "
	                 "unreachable: Nexthop has invalid gateway");
	begin_routes();
	add_route("10.5.0.0/16", "")->device = (char *)"nosuch";
	cr_assert_eq(update_routes(), ERROR_NOT_FOUND);
	cr_assert_str_eq(answer.err.text, "route \"10.5.0.0/16\": no interface \"nosuch\"");
	begin_routes();
	add_route("2001:db8::/32", "")->family = TYPES__IPFAMILY__v4;
	cr_assert_eq(update_routes(), ERROR_INVALID_ARGUMENT);
	cr_assert_str_eq(answer.err.text,
	                 "route \"2001:db8::/32\": invalid dest \"2001:db8::/32\"");
	for (size_t i = 0; i <= LIMIT_ROUTES; i++)
		many[i] = &routes.routes[0];
	routes.list.routes = many;
	routes.list.n_routes = LIMIT_ROUTES + 1;
	cr_assert_eq(update_routes(), ERROR_INVALID_ARGUMENT);
	cr_assert_str_eq(answer.err.text, "4097 routes: the limit is 4096");
	routes.request.routes = NULL;
	cr_assert_eq(update_routes(), ERROR_INVALID_ARGUMENT);
	cr_assert_str_eq(answer.err.text, "UpdateRoutes: no routes");
}

static bool exact; /* the next call of add_neighbour() */

static enum error_code add_neighbour(const char *ip, const char *device, const char *mac)
{
	Grpc__AddARPNeighborsRequest request = GRPC__ADD_ARPNEIGHBORS_REQUEST__INIT;
	Grpc__ARPNeighbors list = GRPC__ARPNEIGHBORS__INIT;
	Types__ARPNeighbor one = TYPES__ARPNEIGHBOR__INIT;
	Types__ARPNeighbor *pointer = &one;
	Types__IPAddress address = TYPES__IPADDRESS__INIT;

	address.address = (char *)ip;
	address.family = strchr(ip, ':') ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
	one.toipaddress = &address;
	one.device = (char *)device;
	one.lladdr = (char *)mac;
	list.arpneighbors = &pointer;
	list.n_arpneighbors = 1;
	request.neighbors = &list;
	request.exact = exact;
	return call("AddARPNeighbors", &request.base, &google__protobuf__empty__descriptor);
}

Test(network, an_exact_call_deletes_neighbours_of_the_last_one_and_no_others)
{
	add_eth0();
	exact = true;
	cr_assert_eq(add_neighbour("10.1.0.9", "eth0", "02:00:00:00:00:09"), ERROR_NONE, "%s",
	             answer.err.text);
	net_bench_run("ip neighbour add 10.1.0.7 lladdr 02:00:00:00:00:07 dev eth0");
	cr_assert_eq(add_neighbour("10.1.0.8", "eth0", "02:00:00:00:00:08"), ERROR_NONE);
	cr_assert_eq(add_neighbour("10.1.0.8", "eth0", "02:00:00:00:00:08"), ERROR_NONE, "again");
	expect_output("ip neighbour", "10.1.0.8 dev eth0");
	expect_output("ip neighbour", "10.1.0.7 dev eth0");
	cr_expect_null(strstr(net_bench_output("ip neighbour"), "10.1.0.9"));
}

Test(network, neighbours_are_permanent_if_nothing_else_is_said)
{
	add_eth0();
	cr_assert_eq(add_neighbour("10.1.0.9", "eth0", "02:00:00:00:00:09"), ERROR_NONE, "%s",
	             answer.err.text);
	cr_assert_eq(add_neighbour("fe80::9", "eth0", "02:00:00:00:00:09"), ERROR_NONE, "%s",
	             answer.err.text);
	cr_assert_eq(add_neighbour("10.1.0.9", "eth0", "02:00:00:00:00:08"), ERROR_NONE, "again");
	expect_output("ip neighbour", "10.1.0.9 dev eth0 lladdr 02:00:00:00:00:08 PERMANENT");
	expect_output("ip neighbour", "fe80::9 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT");
	cr_assert_eq(add_neighbour("10.1.0.9", "nosuch", "02:00:00:00:00:08"), ERROR_NOT_FOUND);
	cr_assert_str_eq(answer.err.text, "neighbour \"10.1.0.9\": no interface \"nosuch\"");
	cr_assert_eq(add_neighbour("", "eth0", "02:00:00:00:00:08"), ERROR_INVALID_ARGUMENT);
	cr_assert_str_eq(answer.err.text, "neighbour \"\": no toIPAddress");
	cr_assert_eq(add_neighbour("10.1.0.9", "eth0", "02"), ERROR_UNKNOWN, "of the wrong length");
}
