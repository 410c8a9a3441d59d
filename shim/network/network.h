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

struct error;
struct guest_network;
struct netns;
struct network;
struct nic;
struct nic_config;

/* The machine has eight root ports; one is for memory that comes later. */
#define NETWORK_CARDS_MAX 7

/* Reads the namespace and makes a card for each link that counts. On failure the namespace is as
 * before. @netns outlives the network. */
int network_connect(const struct netns *netns, const struct nic_config *config,
                    struct network **out, struct error *err);
/* NULL is fine. The machine has ended, or has let go of the cards. The namespace is as before. */
void network_destroy(struct network *network);

/* Makes the namespace at @path as it was before @pod, which was killed. Returns how many redirects
 * lead to a tap of it: a VMM that was just killed has its taps a moment longer. */
int network_sweep(const char *path, const char *pod, struct error *err);

/* In the order in which they were made. */
size_t network_cards(const struct network *network, struct nic *const **out);

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
 * link that fails is passed over from then on. */
int network_add_next(struct network *network, struct nic **out, struct error *err);
/* Takes a card away that the machine does not have: its link is passed over while it is there. */
void network_remove(struct network *network, struct nic *nic);

CLEANUP_DESTROY(network)

#endif
