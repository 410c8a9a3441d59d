#include "shim/network/tap.h"

#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "test/unit/open_descriptors.h"
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

TestSuite(tap, .init = setup, .fini = teardown);

static struct tap *make_tap(unsigned int queues)
{
	struct tap *tap = NULL;
	struct error err = { 0 };

	cr_assert_eq(tap_create(blue, queues, &tap, &err), 0, "%s", err.text);
	return tap;
}

static short flags_of(int fd)
{
	struct ifreq request = { 0 };

	cr_assert_eq(ioctl(fd, TUNGETIFF, &request), 0);
	return request.ifr_flags;
}

Test(tap, it_is_in_the_namespace_and_nowhere_else)
{
	struct tap *tap = make_tap(1);
	autofree char *outside = output_of("ip -o link");
	autofree char *inside = output_of("ip -n blue -o link");

	cr_expect_str_eq(tap_name(tap), "tap0_kata");
	cr_expect(strstr(inside, "tap0_kata"), "%s", inside);
	cr_expect_null(strstr(outside, "tap0_kata"));
	cr_expect_gt(tap_index(tap), 1);
	tap_destroy(tap);
}

Test(tap, packets_have_a_header_of_virtio)
{
	struct tap *tap = make_tap(1);
	short flags = flags_of(tap_fd(tap, 0));

	cr_expect_eq(flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE | IFF_PERSIST),
	             IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	tap_destroy(tap);
}

Test(tap, several_queues_are_one_link)
{
	struct tap *tap = make_tap(3);
	autofree char *links = output_of("ip -n blue -o link | grep -c _kata");

	cr_expect_str_eq(links, "1\n");
	for (unsigned int i = 0; i < 3; i++)
		cr_expect(flags_of(tap_fd(tap, i)) & IFF_MULTI_QUEUE);
	tap_destroy(tap);
}

Test(tap, two_have_names_of_their_own)
{
	struct tap *one = make_tap(1), *other = make_tap(1);

	cr_expect_str_neq(tap_name(one), tap_name(other));
	cr_expect_neq(tap_index(one), tap_index(other));
	tap_destroy(one);
	tap_destroy(other);
}

Test(tap, it_is_gone_with_its_last_descriptor)
{
	int before = open_descriptors();
	struct tap *tap = make_tap(2);
	int other = dup(tap_fd(tap, 0));

	tap_close_fds(tap);
	sh("ip -n blue link show tap0_kata > /dev/null");
	close(other);
	sh("! ip -n blue link show tap0_kata 2> /dev/null");
	tap_destroy(tap);
	cr_expect_eq(open_descriptors(), before);
}
