#include "shim/network/served_link.h"

#include <criterion/criterion.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

#include "common/error.h"
#include "common/netlink/net_state.h"

/* Of kinds that not every kernel has, and so without one: a link of the index 1, "eth0", and what is
 * on it. */
enum {
	LOWER,
	UPPER,
	LINKS
};

static struct net_link links[LINKS];
static struct net_address addresses[LINKS];
static struct net_state state;

static void setup(void)
{
	links[LOWER] = (struct net_link){ .index = 1, .name = "eth0", .kind = "veth" };
	links[UPPER] = (struct net_link){ .index = 2, .name = "net1", .kind = "vlan", .lower = 1 };
	for (int i = 0; i < LINKS; i++) {
		links[i].type = ARPHRD_ETHER;
		links[i].mac.len = 6;
		links[i].flags = IFF_UP;
		links[i].lower_netns = -1;
		addresses[i] = (struct net_address){ .link = links[i].index };
	}
	state = (struct net_state){
		.links = links,
		.n_links = LINKS,
		.addresses = addresses,
		.n_addresses = LINKS,
	};
}

TestSuite(served_link, .init = setup);

Test(served_link, below_a_vlan_one_with_a_link_local_address_alone_does_not_count)
{
	struct error err;

	addresses[LOWER].scope = RT_SCOPE_LINK;
	cr_expect_not(served_link_counts(&state, &links[LOWER]));
	cr_expect(served_link_counts(&state, &links[UPPER]));
	cr_expect_eq(served_link_check(&state, &links[UPPER], &err), 0);
	links[UPPER].flags = 0;
	cr_expect(served_link_counts(&state, &links[LOWER]), "the vlan is down");
}

Test(served_link, a_vlan_on_one_that_counts_is_refused)
{
	struct error err;

	cr_expect(served_link_counts(&state, &links[LOWER]));
	cr_expect_eq(served_link_check(&state, &links[LOWER], &err), 0);
	cr_expect_lt(served_link_check(&state, &links[UPPER], &err), 0);
	cr_expect_eq(err.code, ERROR_UNIMPLEMENTED);
	cr_expect_str_eq(err.text,
	                 "link \"net1\" of kind \"vlan\" on link \"eth0\": not supported");
}

Test(served_link, one_that_is_on_a_link_of_another_namespace_stands_alone)
{
	struct error err;

	links[UPPER].lower_netns = 0;
	cr_expect_eq(served_link_check(&state, &links[UPPER], &err), 0);
}

Test(served_link, the_other_end_of_a_veth_is_not_below_it)
{
	struct error err;

	strcpy(links[UPPER].kind, "veth");
	cr_expect(served_link_counts(&state, &links[LOWER]));
	cr_expect_eq(served_link_check(&state, &links[UPPER], &err), 0);
}

Test(served_link, what_a_vrf_is_the_master_of_counts_and_what_a_bond_is_does_not)
{
	links[LOWER].master = 2;
	links[UPPER].lower = 0;
	strcpy(links[UPPER].kind, "vrf");
	cr_expect(served_link_counts(&state, &links[LOWER]));
	strcpy(links[UPPER].kind, "bond");
	cr_expect_not(served_link_counts(&state, &links[LOWER]));
}
