#include "shim/network/redirect.h"

#include <errno.h>
#include <poll.h>

#include "common/netlink/net_socket.h"
#include "shim/network/rate_limit.h"
#include "shim/network/tap.h"
#include "test/unit/shim/network_fixture.h"

#define PACKET_MAX 2048
#define WAIT_MS    60000
#define VNET_BYTES 10 /* sizeof(struct virtio_net_hdr) */

/* A frame of a local experiment's protocol (IEEE 802, EtherType 0x88b5), to
 * everybody. */
static const unsigned char frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0,   0,  0,
	                                 0,    9,    0x88, 0xb5, 'h',  'e',  'l', 'l', 'o' };

static struct netns *blue;
static struct net_socket *nl;
static struct tap *tap;  /* the pod's, joined with eth0 */
static struct tap *wire; /* another tap that stands for eth0: what it gets, eth0 has sent */
static char *before;

/* All that a client may look at but counters. */
#define LOOK                                                                                       \
	"ip -n blue -o addr; ip -n blue -o link; ip -n blue route; tc -n blue "                    \
	"qdisc; "                                                                                  \
	"tc -n blue filter show dev eth0 ingress"

static void setup(void)
{
	struct error err = { 0 };

	unshare_network();
	sh("ip netns add blue");
	blue = open_netns("/run/netns/blue");
	cr_assert_eq(tap_create(blue, 1, &wire, &err), 0, "%s", err.text);
	sh("ip -n blue link set %s name eth0 && ip -n blue link set eth0 up", tap_name(wire));
	before = output_of(LOOK);
	cr_assert_eq(tap_create(blue, 1, &tap, &err), 0, "%s", err.text);
	sh("ip -n blue link set %s up", tap_name(tap));
	cr_assert_eq(net_socket_open(netns_fd(blue), &nl, &err), 0, "%s", err.text);
}

static void teardown(void)
{
	net_socket_destroy(nl);
	tap_destroy(tap);
	tap_destroy(wire);
	netns_destroy(blue);
	free(before);
}

TestSuite(redirect, .init = setup, .fini = teardown);

static void join(void)
{
	struct error err = { 0 };

	cr_assert_eq(redirect_make(nl, tap_index(wire), tap_index(tap), &err), 0, "%s", err.text);
}

static void send_frame(const struct tap *from)
{
	unsigned char packet[VNET_BYTES + sizeof(frame)] = { 0 };

	memcpy(packet + VNET_BYTES, frame, sizeof(frame));
	cr_assert_eq(write(tap_fd(from, 0), packet, sizeof(packet)), sizeof(packet));
}

/* Others come as well: the kernel's own, of IPv6. */
static bool gets_frame(const struct tap *to, int wait_ms)
{
	struct pollfd poll_fd = { .fd = tap_fd(to, 0), .events = POLLIN };
	unsigned char packet[PACKET_MAX];
	ssize_t n;

	while (poll(&poll_fd, 1, wait_ms) > 0) {
		n = read(poll_fd.fd, packet, sizeof(packet));
		if (n == VNET_BYTES + (ssize_t)sizeof(frame) &&
		    !memcmp(packet + VNET_BYTES, frame, sizeof(frame)))
			return true;
	}
	return false;
}

Test(redirect, what_comes_in_at_one_goes_out_at_the_other)
{
	join();
	send_frame(wire);
	cr_expect(gets_frame(tap, WAIT_MS));
	send_frame(tap);
	cr_expect(gets_frame(wire, WAIT_MS));
}

Test(redirect, the_namespace_sees_nothing_of_it)
{
	autofree char *text = NULL;

	join();
	sh("ip netns exec blue sysctl -q -w net.ipv4.conf.eth0.arp_accept=1");
	send_frame(wire);
	cr_expect(gets_frame(tap, WAIT_MS));
	cr_expect_not(gets_frame(wire, 0));
	text = output_of("ip -n blue neigh");
	cr_expect_str_eq(text, "");
}

Test(redirect, the_link_looks_as_before_when_it_is_removed)
{
	autofree char *after = NULL;
	struct error err = { 0 };

	join();
	cr_expect_eq(redirect_remove(nl, tap_index(wire), &err), 0, "%s", err.text);
	tap_destroy(take_ptr(&tap));
	after = output_of(LOOK);
	cr_expect_str_eq(before, after);
}

Test(redirect, it_may_be_removed_twice_and_after_the_link)
{
	struct error err = { 0 };
	int index = tap_index(wire);

	join();
	cr_expect_eq(redirect_remove(nl, index, &err), 0, "%s", err.text);
	tap_destroy(take_ptr(&wire));
	cr_expect_eq(redirect_remove(nl, index, &err), 0, "%s", err.text);
}

Test(redirect, a_link_with_a_qdisc_of_its_own_is_left_alone)
{
	autofree char *own = NULL;
	autofree char *after = NULL;
	struct error err = { 0 };

	sh("tc -n blue qdisc add dev eth0 ingress");
	own = output_of("tc -n blue qdisc");
	cr_expect_eq(redirect_make(nl, tap_index(wire), tap_index(tap), &err), -EEXIST);
	cr_expect_eq(err.code, ERROR_ALREADY_EXISTS);
	cr_expect_str_eq(err.text, "it has an ingress qdisc already");
	after = output_of("tc -n blue qdisc");
	cr_expect_str_eq(own, after);
}

Test(redirect, what_a_killed_pod_has_left_is_swept)
{
	autofree char *after = NULL;
	struct error err = { 0 };

	join();
	tap_destroy(take_ptr(&tap));
	cr_expect_eq(redirect_sweep(nl, "1f", &err), 0, "%s", err.text);
	after = output_of(LOOK);
	cr_expect_str_eq(before, after);
}

Test(redirect, a_sweep_takes_the_limit_of_the_rate_along)
{
	autofree char *after = NULL;
	struct error err = { 0 };

	join();
	cr_assert_eq(rate_limit_set(nl, tap_index(wire), 8000000, &err), 0, "%s", err.text);
	tap_destroy(take_ptr(&tap));
	cr_expect_eq(redirect_sweep(nl, "1f", &err), 0, "%s", err.text);
	after = output_of(LOOK);
	cr_expect_str_eq(before, after);
}

/* `delete` waits for the end of a VMM that was just killed, not for another pod's. */
Test(redirect, a_sweep_counts_those_of_the_pod)
{
	struct error err = { 0 };

	join();
	sh("ip -n blue link set %s alias 1f", tap_name(tap));
	cr_expect_eq(redirect_sweep(nl, "1f", &err), 1, "%s", err.text);
	cr_expect_eq(redirect_sweep(nl, "2f", &err), 0, "%s", err.text);
	cr_expect_eq(redirect_sweep(nl, NULL, &err), 0, "%s", err.text);
}

Test(redirect, a_sweep_leaves_what_lives_and_what_is_others)
{
	autofree char *own = NULL;
	autofree char *after = NULL;
	struct error err = { 0 };

	join();
	sh("ip -n blue link add other type bridge && tc -n blue qdisc add dev other "
	   "ingress && "
	   "ip -n blue link add gone type bridge && tc -n blue filter add dev other "
	   "ingress "
	   "u32 match u8 0 0 action mirred egress redirect dev gone && ip -n blue "
	   "link del gone");
	own = output_of("tc -n blue qdisc");
	cr_expect_eq(redirect_sweep(nl, "1f", &err), 0, "%s", err.text);
	after = output_of("tc -n blue qdisc");
	cr_expect_str_eq(own, after);
}
