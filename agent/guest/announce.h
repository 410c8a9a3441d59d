/*
 * The hello (proto/vsock_ports.h): tells the host that this agent serves, once a vsock device is
 * there, be it at boot or plugged later.
 */
#ifndef AGENT_ANNOUNCE_H
#define AGENT_ANNOUNCE_H

struct announce;
struct ev_loop;
struct uevents;

/* @uevents outlives it. @on_taken is called once, from the loop: the host has taken the hello. */
struct announce *announce_create(struct ev_loop *loop, struct uevents *uevents,
                                 void (*on_taken)(void *ctx), void *ctx);
void announce_destroy(struct announce *announce); /* NULL is fine; ends the connection */

#endif
