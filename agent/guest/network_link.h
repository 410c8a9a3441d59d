/*
 * One link of the guest as UpdateInterface asks for it: which one it is, and what becomes of it.
 */
#ifndef AGENT_NETWORK_LINK_H
#define AGENT_NETWORK_LINK_H

#include "common/netlink/net_address.h"
#include "common/netlink/net_link.h"
#include "proto/types.pb-c.h"

struct error;
struct net_socket;
struct net_state;

/* Strings point into the message, which outlives it. */
struct network_link {
	const char *device_path; /* "": none; as "" below */
	const char *name;        /* "": it stays */
	struct net_mac mac;      /* none: it stays */
	uint32_t mtu;            /* 0: it stays */
	bool no_arp;
	struct net_address *addresses;
	size_t n_addresses;
	Types__LinkSetting *const *settings; /* each of a form that leads to the link alone */
	size_t n_settings;
};

/* ERROR_INVALID_ARGUMENT names the field. On success network_link_fini() frees it. */
int network_link_parse(const Types__Interface *message, struct network_link *out,
                       struct error *err);
void network_link_fini(struct network_link *wanted);

/*
 * By its place on the bus, or else by its MAC address: a card rather than what is on top of one, as
 * a vlan, which has its address. ERROR_NOT_FOUND: it may still come. ERROR_FAILED_PRECONDITION: two
 * cards have the address.
 */
int network_link_find(const struct network_link *wanted, const struct net_state *state,
                      const struct net_link **out, struct error *err);

/* By its name alone, if nobody has brought it up; of a message without MAC address and path also if. */
int network_link_find_by_name(const struct network_link *wanted, const struct net_state *state,
                              const struct net_link **out, struct error *err);

/*
 * Makes @link of @state as it is wanted, and brings it up. A link that has the name gets that of
 * @link. Other addresses than the wanted ones go, those of IPv6 are usable at once, and none is made
 * by the kernel; where IPv6 is disabled, those of IPv6 are passed over. So is, with a line in the
 * log, a setting that the kernel does not have or take.
 */
int network_link_apply(struct net_socket *socket, const struct network_link *wanted,
                       const struct net_state *state, const struct net_link *link,
                       struct error *err);

#endif
