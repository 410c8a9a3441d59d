/*
 * Which links of a namespace have a network card in the guest: those that are up and have an address,
 * as with upstream's runtime, unless their packets are another link's.
 *
 * The tunnels that some kernels put into every namespace (tunl0, sit0) are down. The taps of this
 * runtime have no address. What arrives at the port of a bridge or bond is its master's, though the
 * kernel gives the port a link-local address of its own; and if that is all that the link below a
 * vlan has, the vlan's.
 */
#ifndef SHIM_SERVED_LINK_H
#define SHIM_SERVED_LINK_H

#include <stdbool.h>

struct error;
struct net_link;
struct net_state;

/* @link is one of @state. */
bool served_link_counts(const struct net_state *state, const struct net_link *link);

/*
 * Of one that counts. ERROR_UNIMPLEMENTED, by its name: it is no Ethernet; or it is on another link of
 * the namespace, unless it is a vlan and that other does not count.
 */
int served_link_check(const struct net_state *state, const struct net_link *link,
                      struct error *err);

#endif
