/*
 * The kernel's own events (Documentation/core-api/kobject.rst): one socket for all of the agent who
 * wait for a device, each of whom is told that something has changed and looks for itself. An event
 * can be lost (ENOBUFS), what it was about cannot.
 */
#ifndef AGENT_UEVENT_H
#define AGENT_UEVENT_H

#include <sys/queue.h>

struct ev_loop;
struct uevents;

/* Embedded in the waiting object; listed between uevents_subscribe() and uevents_leave(). */
struct uevent_subscriber {
	LIST_ENTRY(uevent_subscriber) link;
	void (*on_change)(void *ctx); /* from the loop; may leave */
	void *ctx;
};

/* Never fails: without a socket it logs a warning and reports no change. */
struct uevents *uevents_create(struct ev_loop *loop);
void uevents_destroy(struct uevents *uevents); /* NULL is fine; all have left */

void uevents_subscribe(struct uevents *uevents, struct uevent_subscriber *subscriber);
void uevents_leave(struct uevent_subscriber *subscriber);

#endif
