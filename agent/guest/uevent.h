/*
 * Uevents of the kernel (Documentation/core-api/kobject.rst), received by one socket for all parts
 * of the agent that wait for a device. A subscriber learns only that something has changed, and
 * checks its device itself: the kernel can drop an event (ENOBUFS), but not the change.
 */
#ifndef AGENT_UEVENT_H
#define AGENT_UEVENT_H

#include <sys/queue.h>

struct ev_loop;
struct uevents;

/* Embedded in the waiting object; listed between uevents_subscribe() and uevents_leave(). */
struct uevent_subscriber {
	LIST_ENTRY(uevent_subscriber) link;
	void (*on_change)(void *ctx); /* called from the loop; may call uevents_leave() */
	void *ctx;
};

/* Never fails: without a socket it logs a warning and reports no change. */
struct uevents *uevents_create(struct ev_loop *loop);
void uevents_destroy(struct uevents *uevents); /* NULL is fine; there are no subscribers */

void uevents_subscribe(struct uevents *uevents, struct uevent_subscriber *subscriber);
void uevents_leave(struct uevent_subscriber *subscriber);

#endif
