/*
 * Task events on their way to containerd: encoded and put in order here, forwarded by ttrpc to
 * containerd's events service (containerd api/services/ttrpc/events/v1/events.proto), one at a
 * time, kept and tried again while containerd is away.
 */
#ifndef SHIM_EVENTS_H
#define SHIM_EVENTS_H

#include <protobuf-c/protobuf-c.h>

#include "common/cleanup.h"

struct ev_loop;
struct events;

#define EVENTS_WAITING_MAX 4096 /* past that the oldest is dropped, with a warning */

/* @address: containerd's ttrpc socket (TTRPC_ADDRESS); NULL or empty: events are only logged, as
 * under CRI-O. Both strings are copied. @timeout_ms: of one attempt to deliver. */
struct events *events_create(struct ev_loop *loop, const char *address, const char *ns,
                             int timeout_ms);
void events_destroy(struct events *events); /* NULL is fine; what waits is dropped */

/* @topic: "/tasks/create", …; @event: the containerd.events message, encoded before this returns.
 * Never fails: what cannot be delivered is logged. */
void events_publish(struct events *events, const char *topic, const ProtobufCMessage *event);

/* The same, but nothing if such an event, of the same content, waits already: of what a guest may
 * tell as often as it likes, so that it drives nothing else out of the queue. */
void events_publish_once(struct events *events, const char *topic, const ProtobufCMessage *event);

/* Calls @done once, from the loop: nothing waits any more, or @timeout_ms have passed. */
void events_drain(struct events *events, int timeout_ms, void (*done)(void *ctx), void *ctx);

CLEANUP_DESTROY(events)

#endif
