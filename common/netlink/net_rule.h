/* Rules: which table of routes a packet is looked up in (ip-rule(8)). */
#ifndef COMMON_NET_RULE_H
#define COMMON_NET_RULE_H

#include <linux/fib_rules.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/netlink/net_ip.h"

struct error;
struct net_socket;

#define NET_RULES_MAX 4096

struct net_rule {
	uint8_t family;
	struct net_prefix source; /* length 0: any */
	struct net_prefix destination;
	uint8_t tos;
	uint8_t action; /* FR_ACT_TO_TBL, FR_ACT_BLACKHOLE, ... */
	bool invert;    /* what does not match */
	uint32_t table;
	uint32_t priority;
	uint32_t mark;
	uint32_t mark_mask;
	uint32_t goto_priority; /* of FR_ACT_GOTO */
	char in[IFNAMSIZ];      /* the link that a packet came from; "": any */
	char out[IFNAMSIZ];
	uint8_t ip_protocol; /* IPPROTO_*; 0: any */
	uint8_t protocol;    /* RTPROT_*: who made it */
	bool has_uids, has_source_ports, has_destination_ports;
	struct fib_rule_uid_range uids;
	struct fib_rule_port_range source_ports;
	struct fib_rule_port_range destination_ports;
	int32_t suppress_prefix; /* routes whose prefix is no longer are passed over; -1: none are */
	int32_t suppress_group;  /* the same by the group of their link */
	bool has_others;         /* attributes that are not read: those of VRFs and tunnels */
};

/* Of IPv4 and IPv6, with the kernel's own (net_rule_is_default()). */
int net_rule_list(struct net_socket *socket, struct net_rule **rules, size_t *n, struct error *err);

/* One of those that each namespace begins with: the tables local, main and default for all. */
bool net_rule_is_default(const struct net_rule *rule);

bool net_rule_equal(const struct net_rule *a, const struct net_rule *b);

/* Fails with -EEXIST when there is one like it. */
int net_rule_add(struct net_socket *socket, const struct net_rule *rule, struct error *err);
int net_rule_delete(struct net_socket *socket, const struct net_rule *rule, struct error *err);

#endif
