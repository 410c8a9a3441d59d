#include "shim/network/link_counters.h"

#include <string.h>

#include "common/mem.h"
#include "common/netlink/net_socket.h"
#include "shim/network/netns.h"

static bool counts(const struct net_link *link)
{
	return link->flags & IFF_UP && !(link->flags & IFF_LOOPBACK) &&
	       strcmp(link->kind, "tun") != 0;
}

int link_counters_read(const struct netns *netns, struct net_link **links, size_t *n,
                       struct error *err)
{
	autodestroy(net_socket) struct net_socket *socket = NULL;
	autofree struct net_link *all = NULL;
	size_t n_all = 0, kept = 0;
	int r = net_socket_open(netns_fd(netns), &socket, err);

	if (r == 0)
		r = net_link_list(socket, &all, &n_all, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_all; i++)
		if (counts(&all[i]))
			all[kept++] = all[i];
	*links = kept ? take_ptr(&all) : NULL;
	*n = kept;
	return 0;
}
