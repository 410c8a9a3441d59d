#include "proto/network/network_default.h"

#include <sys/socket.h>

struct net_ip network_default_broadcast(const struct net_prefix *own)
{
	struct net_ip ip = own->ip;

	if (ip.family != AF_INET || own->len > 30)
		return (struct net_ip){ 0 };
	for (unsigned int bit = own->len; bit < 32; bit++)
		ip.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return ip;
}
