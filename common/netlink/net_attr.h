/* A netlink message and its attributes (netlink/attr.h), which are read with a default and written
 * without an error: a message that is full is our own mistake. */
#ifndef COMMON_NET_ATTR_H
#define COMMON_NET_ATTR_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct net_ip;
struct nl_msg;
struct nlattr;

/* A new message of @type (RTM_*) with @flags (NLM_F_*) and its fixed header. */
struct nl_msg *net_message(int type, int flags, const void *header, size_t len);

/* @attr is NULL where there is none; one that is too short counts as none. */
uint32_t net_attr_u32(const struct nlattr *attr, uint32_t none);
uint8_t net_attr_u8(const struct nlattr *attr, uint8_t none);
void net_attr_text(const struct nlattr *attr, char *out, size_t size); /* cut if longer */
struct net_ip net_attr_ip(const struct nlattr *attr, uint8_t family);  /* none: AF_UNSPEC */

void net_attr_put(struct nl_msg *message, int type, const void *data, size_t len);
void net_attr_put_u32(struct nl_msg *message, int type, uint32_t value);
void net_attr_put_ip(struct nl_msg *message, int type, const struct net_ip *ip);

/* "unknown form of a <what>". */
int net_attr_error(struct error *err, const char *what);

#endif
