#include "common/netlink/net_ip.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"

TestSuite(net_ip, .timeout = 120);

static struct net_prefix prefix_of(const char *text)
{
	struct net_prefix prefix;
	struct error err;

	cr_assert_eq(net_prefix_parse(text, &prefix, &err), 0, "%s", err.text);
	return prefix;
}

Test(net_ip, text_becomes_an_address_and_text_again)
{
	static const char *const rows[][2] = {
		{ "10.0.0.1", "10.0.0.1/32" },        { "10.0.0.0/8", "10.0.0.0/8" },
		{ "0.0.0.0/0", "0.0.0.0/0" },         { "FE80:0::1", "fe80::1/128" },
		{ "2001:db8::/32", "2001:db8::/32" }, { "::ffff:1.2.3.4/96", "::ffff:1.2.3.4/96" },
	};
	char text[NET_PREFIX_TEXT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_prefix prefix = prefix_of(rows[i][0]);

		cr_expect_str_eq(net_prefix_text(&prefix, text), rows[i][1]);
	}
}

Test(net_ip, what_is_no_prefix_is_refused)
{
	static const char *const rows[] = {
		"",
		"10.0.0",
		"10.0.0.1/33",
		"10.0.0.1/",
		"10.0.0.1/-1",
		"10.0.0.1/ 8",
		"::1/129",
		"10.0.0.1/8/8",
		"/8",
		"1.2.3.4.5",
		"10.0.0.1/99999999999999999999999999999999",
		"fe80::1%eth0",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/1",
	};
	struct net_prefix prefix = { .len = 77 };
	struct error err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(net_prefix_parse(rows[i], &prefix, &err), -EINVAL, "%s", rows[i]);
		cr_expect(strncmp(err.text, "invalid prefix \"", 16) == 0, "%s", err.text);
	}
	cr_assert_eq(prefix.len, 77, "the output is untouched");
}

Test(net_ip, a_prefix_has_the_addresses_that_begin_like_it)
{
	static const struct {
		const char *prefix;
		const char *ip;
		bool has;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.1.2", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.128.0.0/9", "10.127.0.0", false },
		{ "10.128.0.0/9", "10.200.0.0", true },
		{ "0.0.0.0/0", "1.2.3.4", true },
		{ "0.0.0.0/0", "::1", false },
		{ "1.2.3.4/32", "1.2.3.4", true },
		{ "1.2.3.4/32", "1.2.3.5", false },
		{ "2001:db8::/33", "2001:db8:8000::", false },
		{ "fe80::/128", "fe80::1", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_prefix prefix = prefix_of(rows[i].prefix);
		struct net_prefix ip = prefix_of(rows[i].ip);

		cr_expect_eq(net_prefix_has(&prefix, &ip.ip), rows[i].has, "%s %s", rows[i].prefix,
		             rows[i].ip);
	}
}

Test(net_ip, no_address_is_no_text)
{
	struct net_ip none = { 0 };
	char text[NET_IP_TEXT_MAX];

	cr_assert_not(net_ip_is_set(&none));
	cr_assert_str_eq(net_ip_text(&none, text), "");
	cr_assert_eq(net_prefix_default(AF_INET6).ip.family, AF_INET6);
}
