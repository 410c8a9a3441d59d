/* Links (network interfaces): what the kernel says of them, and what can be changed. */
#ifndef COMMON_NET_LINK_H
#define COMMON_NET_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct net_socket;

#define NET_LINKS_MAX    1024
#define NET_KIND_MAX     32
#define NET_ALIAS_MAX    256 /* linux/if.h: IFALIASZ */
#define NET_MAC_MAX      32  /* linux/netdevice.h: MAX_ADDR_LEN */
#define NET_MAC_TEXT_MAX 96  /* 3 * NET_MAC_MAX */

struct net_mac {
	uint8_t bytes[NET_MAC_MAX];
	uint8_t len; /* 6 of Ethernet; 0: none */
};

/* Since the link was made. */
struct net_link_counters {
	uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped;
	uint64_t tx_packets, tx_bytes, tx_errors, tx_dropped;
};

struct net_link {
	int index;
	char name[IFNAMSIZ];
	char kind[NET_KIND_MAX]; /* "veth", "macvlan"; "": none, as of lo and of hardware */
	char bus[NET_KIND_MAX];  /* of the device behind it: "pci", "virtio"; "": none, or a kernel
	                            before 5.14 */
	char device[NET_KIND_MAX]; /* its name there, "0000:00:03.0" */
	uint16_t type;             /* ARPHRD_* */
	uint32_t flags;            /* IFF_* */
	uint32_t mtu;
	struct net_mac mac;
	int lower; /* the index of a veth's peer, of what a macvlan or a vlan is on; 0: none */
	int lower_netns; /* the id of the namespace that @lower is in; -1: the link's own */
	int master;      /* the index of the bridge or the like; 0: none */
	bool is_tun;     /* of the kind "tun": a device of packets, not a tap */
	char alias[NET_ALIAS_MAX]; /* a text for people and programs (ip-link(8)); "": none */
	struct net_link_counters counters;
};

/* What is to change; the rest stays. */
struct net_link_change {
	const char *name;   /* NULL: stays. A link that is up cannot be renamed before Linux 6.2 */
	struct net_mac mac; /* none: stays */
	uint32_t mtu;       /* 0: stays */
	uint32_t flags;
	uint32_t flags_mask; /* which of @flags count */
	int master;          /* 0: stays; -1: none */
	const char *alias;   /* NULL: stays */
	bool no_link_local;  /* the kernel gives it no IPv6 address by itself from now on */
};

/* *links is free()d by the caller, and NULL when there are none; as all lists of this folder. */
int net_link_list(struct net_socket *socket, struct net_link **links, size_t *n, struct error *err);

/* In an array; NULL: there is none. */
const struct net_link *net_link_by_index(const struct net_link *links, size_t n, int index);
const struct net_link *net_link_by_name(const struct net_link *links, size_t n, const char *name);
const struct net_link *net_link_by_mac(const struct net_link *links, size_t n,
                                       const struct net_mac *mac);

/* Returns the kernel's own -errno: -EEXIST of a name that is taken. */
int net_link_set(struct net_socket *socket, int index, const struct net_link_change *change,
                 struct error *err);
int net_link_delete(struct net_socket *socket, int index, struct error *err);

/* A name that the kernel takes (dev_valid_name()). */
bool net_link_name_is_valid(const char *name);

bool net_mac_equal(const struct net_mac *a, const struct net_mac *b);
/* "02:00:00:00:00:01", of any number of bytes up to NET_MAC_MAX. */
int net_mac_parse(const char *text, struct net_mac *out, struct error *err);
const char *net_mac_text(const struct net_mac *mac, char text[NET_MAC_TEXT_MAX]);

#endif
