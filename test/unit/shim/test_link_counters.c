#include "shim/network/link_counters.h"

#include "test/unit/shim/network_fixture.h"

static struct netns *blue;

static void setup(void)
{
	unshare_network();
	sh("ip netns add blue");
	blue = open_netns("/run/netns/blue");
}

static void teardown(void)
{
	netns_destroy(blue);
}

TestSuite(link_counters, .init = setup, .fini = teardown);

Test(link_counters, are_of_links_that_are_up_but_lo_and_taps)
{
	struct net_link *links;
	struct error err;
	size_t n;

	sh("ip -n blue link set lo up && ip link add host0 type veth peer name eth0 netns blue && "
	   "ip -n blue link add down0 type dummy 2>/dev/null; "
	   "ip -n blue tuntap add tap0 mode tap && ip -n blue link set tap0 up && "
	   "ip addr add 10.9.0.1/24 dev host0 && ip -n blue addr add 10.9.0.2/24 dev eth0 && "
	   "ip link set host0 up && ip -n blue link set eth0 up");
	await_up("eth0");
	sh("bash -c 'for i in 1 2 3; do head -c 500 /dev/zero >/dev/udp/10.9.0.2/9; done'");
	cr_assert_eq(link_counters_read(blue, &links, &n, &err), 0, "%s", err.text);
	cr_assert_not_null(links);
	cr_assert_eq(n, 1);
	cr_expect_str_eq(links[0].name, "eth0");
	cr_expect_geq(links[0].counters.rx_bytes, 1500);
	cr_expect_gt(links[0].counters.tx_bytes, 0); /* nobody listens: ICMP says so */
	free(links);
}

Test(link_counters, are_none_of_an_empty_namespace)
{
	struct net_link *links;
	struct error err;
	size_t n;

	cr_assert_eq(link_counters_read(blue, &links, &n, &err), 0, "%s", err.text);
	cr_expect_eq(n, 0);
	cr_expect_null(links);
}
