/* An IP address or prefix, IPv4 or IPv6, as bytes and as text. */
#ifndef COMMON_NET_IP_H
#define COMMON_NET_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define NET_IP_TEXT_MAX     46 /* netinet/in.h: INET6_ADDRSTRLEN */
#define NET_PREFIX_TEXT_MAX (NET_IP_TEXT_MAX + 4)

struct net_ip {
	uint8_t family;    /* AF_INET or AF_INET6; AF_UNSPEC: none, and all is zero */
	uint8_t bytes[16]; /* network order; the first four of IPv4, the others are zero */
};

struct net_prefix {
	struct net_ip ip;
	uint8_t len; /* bits */
};

size_t net_ip_size(uint8_t family); /* 4 or 16 bytes; 0: no family of IP addresses */
bool net_ip_is_set(const struct net_ip *ip);
bool net_ip_equal(const struct net_ip *a, const struct net_ip *b);
bool net_prefix_equal(const struct net_prefix *a, const struct net_prefix *b);
bool net_prefix_has(const struct net_prefix *prefix, const struct net_ip *ip);

/* The default route's: its length is 0. */
struct net_prefix net_prefix_default(uint8_t family);

/* "10.0.0.1" or "fe80::1", nothing else; ERROR_INVALID_ARGUMENT quotes @text. */
int net_ip_parse(const char *text, struct net_ip *out, struct error *err);
/* "10.0.0.0/8", or an address alone, which is a whole one. */
int net_prefix_parse(const char *text, struct net_prefix *out, struct error *err);

/* Both return @text. No address is "". */
const char *net_ip_text(const struct net_ip *ip, char text[NET_IP_TEXT_MAX]);
const char *net_prefix_text(const struct net_prefix *prefix, char text[NET_PREFIX_TEXT_MAX]);

#endif
