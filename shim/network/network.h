/*
 * The networks of a pod: each link of its namespace that counts has a network card in the guest.
 *
 * Which those are: shim/network/served_link.h. One that counts and cannot be served is refused by name.
 */
#ifndef SHIM_NETWORK_H
#define SHIM_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "hypervisor/vm_config.h"

struct error;
struct guest_network;
struct netns;
struct network;
struct nic;
struct nic_config;

/* Each takes a root port of the machine, which has one more for memory that comes later. The others
 * are there from its start, and cost it: only a pod that needs them then has more than the usual. */
#define NETWORK_CARDS_USUAL (VM_PORTS_USUAL - 1)
#define NETWORK_CARDS_MAX   15

/* Reads the namespace and makes a card for each link that counts, unless they are to come late: then
 * network_add_next() makes them. On failure the namespace is as before. @netns outlives the network. */
int network_connect(const struct netns *netns, const struct nic_config *config,
                    struct network **out, struct error *err);
/* NULL is fine. The machine has ended, or has let go of the cards. The namespace is as before. */
void network_destroy(struct network *network);

/* Makes the namespace at @path as it was before @pod, which was killed. Returns how many redirects
 * lead to a tap of it: a VMM that was just killed has its taps a moment longer. */
int network_sweep(const char *path, const char *pod, struct error *err);

/* In the order in which they were made. */
size_t network_cards(const struct network *network, struct nic *const **out);

/* The most cards that it can have: the machine needs as many root ports, and one. */
size_t network_room(const struct network *network);

/* What the guest is to be told of what was read last, as far as the agent's @features (enum feature)
 * allow it. guest_network_destroy() it; the paths of its cards are still to be set. */
struct guest_network *network_describe(const struct network *network, unsigned int features);

/* A descriptor (the caller's) that becomes readable when something changes: see net_watch_open(). */
int network_watch(const struct network *network, int *out, struct error *err);

/* Reads the namespace anew. */
int network_refresh(struct network *network, struct error *err);
/* A card whose link has gone; NULL: there is none. */
struct nic *network_find_gone(const struct network *network);
/* Makes a card for a link that counts and has none; *out is NULL where there is no such link. A
 * link that fails is passed over from then on, until the link of a card has gone: there is room. */
int network_add_next(struct network *network, struct nic **out, struct error *err);
/* Takes a card away that the machine does not have: its link is passed over while it is there. */
void network_remove(struct network *network, struct nic *nic);

CLEANUP_DESTROY(network)

#endif
