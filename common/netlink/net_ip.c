#include "common/netlink/net_ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/error.h"

size_t net_ip_size(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

bool net_ip_is_set(const struct net_ip *ip)
{
	return ip->family != AF_UNSPEC;
}

bool net_ip_equal(const struct net_ip *a, const struct net_ip *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, net_ip_size(a->family));
}

bool net_prefix_equal(const struct net_prefix *a, const struct net_prefix *b)
{
	return a->len == b->len && net_ip_equal(&a->ip, &b->ip);
}

bool net_prefix_has(const struct net_prefix *prefix, const struct net_ip *ip)
{
	size_t whole = prefix->len / 8;
	unsigned int mask = 0xff00U >> prefix->len % 8 & 0xff;

	if (prefix->ip.family != ip->family || memcmp(prefix->ip.bytes, ip->bytes, whole) != 0)
		return false;
	return !mask || ((prefix->ip.bytes[whole] ^ ip->bytes[whole]) & mask) == 0;
}

struct net_prefix net_prefix_default(uint8_t family)
{
	return (struct net_prefix){ .ip.family = family };
}

int net_ip_parse(const char *text, struct net_ip *out, struct error *err)
{
	struct net_ip ip = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(ip.family, text, ip.bytes) != 1)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid address \"%s\"", text);
	*out = ip;
	return 0;
}

/* Digits alone, unlike what strtoul(3) takes. */
static bool parse_length(const char *text, size_t max, uint8_t *out)
{
	char *end;
	unsigned long len;

	if (!*text || strspn(text, "0123456789") != strlen(text))
		return false;
	errno = 0;
	len = strtoul(text, &end, 10);
	*out = (uint8_t)len;
	return !errno && len <= max;
}

int net_prefix_parse(const char *text, struct net_prefix *out, struct error *err)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char address[NET_IP_TEXT_MAX];
	struct net_prefix prefix = { .len = 0 };

	if (n >= sizeof(address))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid prefix \"%s\"", text);
	memcpy(address, text, n);
	address[n] = '\0';
	if (net_ip_parse(address, &prefix.ip, NULL) < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid prefix \"%s\"", text);
	prefix.len = (uint8_t)(8 * net_ip_size(prefix.ip.family));
	if (slash && !parse_length(slash + 1, prefix.len, &prefix.len))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid prefix \"%s\": its length is no number up to %zu", text,
		                 8 * net_ip_size(prefix.ip.family));
	*out = prefix;
	return 0;
}

const char *net_ip_text(const struct net_ip *ip, char text[NET_IP_TEXT_MAX])
{
	if (!net_ip_is_set(ip) || !inet_ntop(ip->family, ip->bytes, text, NET_IP_TEXT_MAX))
		*text = '\0';
	return text;
}

const char *net_prefix_text(const struct net_prefix *prefix, char text[NET_PREFIX_TEXT_MAX])
{
	char ip[NET_IP_TEXT_MAX];

	*text = '\0';
	if (net_ip_is_set(&prefix->ip))
		snprintf(text, NET_PREFIX_TEXT_MAX, "%s/%u", net_ip_text(&prefix->ip, ip),
		         prefix->len);
	return text;
}
