#include "test/unit/open_descriptors.h"
#include "test/unit/shim/network_fixture.h"

TestSuite(netns, .init = unshare_network);

static void expect_refusal(const char *path, enum error_code code, const char *text)
{
	struct netns *netns = NULL;
	struct error err = { 0 };

	cr_expect_lt(netns_open(path, &netns, &err), 0);
	cr_expect_null(netns);
	cr_expect_eq(err.code, code, "%d: %s", err.code, err.text);
	cr_expect_str_eq(err.text, text);
	cr_expect_lt(netns_open(path, &netns, NULL), 0);
}

Test(netns, one_with_a_name_is_opened)
{
	struct netns *netns;
	struct error err = { 0 };

	sh("ip netns add blue");
	netns = open_netns("/run/netns/blue");
	cr_expect_eq(netns_check(netns, "/run/netns/blue", &err), 0, "%s", err.text);
	sh("ip netns add red");
	cr_expect_lt(netns_check(netns, "/run/netns/red", &err), 0);
	cr_expect_str_eq(err.text,
	                 "\"/run/netns/red\": not the pod's network namespace: not supported");
	netns_destroy(netns);
}

Test(netns, it_lives_on_when_its_name_is_removed)
{
	struct netns *netns;
	autofree char *path = NULL;
	struct error err = { 0 };

	sh("ip netns add blue && ip -n blue link add mark type bridge");
	netns = open_netns("/run/netns/blue");
	sh("ip netns del blue");
	path = mem_printf("/proc/self/fd/%d", netns_fd(netns));
	cr_expect_eq(netns_check(netns, path, &err), 0, "%s", err.text);
	sh("nsenter --net=/proc/%d/fd/%d ip link show mark > /dev/null", getpid(), netns_fd(netns));
	netns_destroy(netns);
}

Test(netns, what_is_none_is_refused)
{
	sh("mkfifo /run/fifo && touch /run/file && ln -s nowhere /run/link");
	expect_refusal("/run/nothing", ERROR_UNKNOWN,
	               "cannot open \"/run/nothing\": No such file or directory");
	expect_refusal("/run/link", ERROR_UNKNOWN,
	               "cannot open \"/run/link\": No such file or directory");
	expect_refusal("/run/file", ERROR_INVALID_ARGUMENT, "\"/run/file\": not a namespace");
	expect_refusal("/run/fifo", ERROR_INVALID_ARGUMENT, "\"/run/fifo\": not a namespace");
	expect_refusal("/run", ERROR_INVALID_ARGUMENT, "\"/run\": not a namespace");
	expect_refusal("/dev/null", ERROR_INVALID_ARGUMENT, "\"/dev/null\": not a namespace");
	expect_refusal("/proc/self/ns/uts", ERROR_INVALID_ARGUMENT,
	               "\"/proc/self/ns/uts\": not a network namespace");
}

Test(netns, the_hosts_own_is_refused_by_any_name)
{
	sh("touch /run/host && mount --bind /proc/self/ns/net /run/host");
	expect_refusal("/proc/self/ns/net", ERROR_UNIMPLEMENTED,
	               "\"/proc/self/ns/net\": the host's network: not supported");
	expect_refusal("/run/host", ERROR_UNIMPLEMENTED,
	               "\"/run/host\": the host's network: not supported");
}

Test(netns, a_refusal_leaves_no_descriptor)
{
	int before = open_descriptors();

	expect_refusal("/proc/self/ns/net", ERROR_UNIMPLEMENTED,
	               "\"/proc/self/ns/net\": the host's network: not supported");
	expect_refusal("/run", ERROR_INVALID_ARGUMENT, "\"/run\": not a namespace");
	cr_expect_eq(open_descriptors(), before);
}

static int read_links(void *ctx, struct error *err)
{
	*(char **)ctx = output_of("ip -o link show up");
	return 0;
}

Test(netns, a_new_one_has_a_loopback_that_is_up)
{
	autofree char *before = output_of("ip -o link; readlink /proc/self/ns/net");
	autofree char *after = NULL;
	autofree char *inside = NULL;
	struct netns *netns = NULL;
	struct error err = { 0 };
	int fds = open_descriptors();

	cr_assert_eq(netns_make(&netns, &err), 0, "%s", err.text);
	after = output_of("ip -o link; readlink /proc/self/ns/net");
	cr_expect_str_eq(before, after);
	cr_expect_eq(netns_call(netns, read_links, &inside, &err), 0, "%s", err.text);
	cr_expect(strstr(inside, ": lo: "), "%s", inside);
	netns_destroy(netns);
	cr_expect_eq(open_descriptors(), fds);
}

static int fail_inside(void *ctx, struct error *err)
{
	return error_set(err, ERROR_ABORTED, "as told");
}

Test(netns, a_call_that_fails_comes_back_as_well)
{
	autofree char *before = output_of("readlink /proc/self/ns/net");
	autofree char *after = NULL;
	struct netns *netns = NULL;
	struct error err = { 0 };

	cr_assert_eq(netns_make(&netns, &err), 0, "%s", err.text);
	cr_expect_lt(netns_call(netns, fail_inside, NULL, &err), 0);
	cr_expect_str_eq(err.text, "as told");
	after = output_of("readlink /proc/self/ns/net");
	cr_expect_str_eq(before, after);
	netns_destroy(netns);
}
