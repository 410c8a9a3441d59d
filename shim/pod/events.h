/*
 * The queue of task events for containerd. It encodes the events and sends them in order, one at a
 * time, by ttrpc to containerd's events service (containerd
 * api/services/ttrpc/events/v1/events.proto). While containerd is away, it keeps them and retries.
 */
#ifndef SHIM_EVENTS_H
#define SHIM_EVENTS_H

#include <protobuf-c/protobuf-c.h>

#include "common/cleanup.h"

struct ev_loop;
struct events;

#define EVENTS_WAITING_MAX 4096 /* beyond it the oldest is dropped, with a warning */

/* @address: containerd's ttrpc socket (TTRPC_ADDRESS); NULL or empty: events are only logged, as
 * under CRI-O. Both strings are copied. @timeout_ms limits one attempt to deliver. */
struct events *events_create(struct ev_loop *loop, const char *address, const char *ns,
                             int timeout_ms);
void events_destroy(struct events *events); /* NULL is fine; queued events are dropped */

/* @topic: "/tasks/create", …; @event: the containerd.events message, encoded before this returns.
 * Never fails: an event that cannot be delivered is logged. */
void events_publish(struct events *events, const char *topic, const ProtobufCMessage *event);

/* The same, but does nothing if an equal event is queued already. For events that a guest can cause
 * at will: they must not push others out of the queue. */
void events_publish_once(struct events *events, const char *topic, const ProtobufCMessage *event);

/* Calls @done once, from the loop, when the queue is empty or after @timeout_ms. */
void events_drain(struct events *events, int timeout_ms, void (*done)(void *ctx), void *ctx);

CLEANUP_DESTROY(events)

#endif
