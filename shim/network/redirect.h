/*
 * Two links of a network namespace joined: each packet that arrives at one
 * leaves by the other, before the namespace's own stack sees it. By an ingress
 * qdisc on both, with one filter that takes everything (tc-u32(8),
 * tc-mirred(8)).
 */
#ifndef SHIM_REDIRECT_H
#define SHIM_REDIRECT_H

struct error;
struct net_socket;

/* By their indexes. A link that has an ingress qdisc already is left as it is:
 * ERROR_ALREADY_EXISTS. On failure nothing is left. */
int redirect_make(struct net_socket *socket, int link, int tap, struct error *err);

/* Takes @link's qdisc away, and with it the filter; no failure where none is
 * there any more. The tap's goes with the tap. */
int redirect_remove(struct net_socket *socket, int link, struct error *err);

/* Takes away what a pod has left that was killed: the redirects of any link to a tap that is no
 * more, and with them a limit of its rate. Others' filters stay. Returns how many redirects lead to a
 * tap whose alias is @pod (NULL: of nobody). */
int redirect_sweep(struct net_socket *socket, const char *pod, struct error *err);

#endif
