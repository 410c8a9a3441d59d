#include "shim/pod/events.h"

#include <ev.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/unix_socket.h"
#include "proto/forward.pb-c.h"
#include "proto/message.h"
#include "proto/ttrpc/ttrpc_client.h"

/*
 * One event is on its way at a time: that keeps the order. It leaves the queue when containerd has
 * answered. A connection is made for the first event and again when it is lost; while there is none
 * the queue is tried again after a pause that doubles. An event that containerd itself refuses is
 * tried a few times and then dropped: it would hold up all behind it. An answer that was lost with
 * its connection makes containerd see an event twice, which its clients have to expect anyway.
 */

#define SERVICE "containerd.services.events.ttrpc.v1.Events"
#define METHOD  "Forward"

#define PAUSE_FIRST_S 0.05
#define PAUSE_MAX_S   2.0
#define REFUSALS_MAX  5

struct event {
	STAILQ_ENTRY(event) link;
	char *topic;
	const char *type; /* the message's full name */
	ProtobufCBinaryData bytes;
	struct timespec time;
	unsigned int refusals;
};

struct events {
	struct ev_loop *loop;
	char *address; /* NULL: log only */
	char *ns;
	int timeout_ms; /* of one attempt */
	STAILQ_HEAD(, event) waiting;
	unsigned int nwaiting;
	bool sending;                /* the first one is on its way */
	struct ttrpc_client *client; /* NULL: not connected */
	ev_timer pause;              /* until the next try */
	double pause_s;
	bool away; /* it has been logged that containerd is away */
	ev_timer drain_deadline;
	ev_timer drained; /* from the loop, never from inside */
	void (*on_drained)(void *ctx);
	void *drain_ctx;
};

static void events_send(struct events *events);

static void event_free(struct event *event)
{
	free(event->topic);
	free(event->bytes.data);
	free(event);
}

static void event_drop_first(struct events *events)
{
	struct event *event = STAILQ_FIRST(&events->waiting);

	STAILQ_REMOVE_HEAD(&events->waiting, link);
	events->nwaiting--;
	event_free(event);
	if (!events->nwaiting && events->on_drained)
		ev_timer_start(events->loop, &events->drained);
}

static void events_pause(struct events *events, const struct error *why)
{
	if (!events->away)
		log_warn("containerd takes no events, trying on: %s", why->text);
	events->away = true;
	ev_timer_stop(events->loop, &events->pause);
	ev_timer_set(&events->pause, events->pause_s, 0);
	ev_now_update(events->loop);
	ev_timer_start(events->loop, &events->pause);
	events->pause_s = events->pause_s * 2 < PAUSE_MAX_S ? events->pause_s * 2 : PAUSE_MAX_S;
}

static void on_pause_over(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	events_send(watcher->data);
}

/* An idle connection is lost when containerd goes: nothing is to be done until the next event. What
 * waited for an answer has been told already. */
static void on_lost(void *ctx, const struct error *err)
{
	struct events *events = ctx;

	ttrpc_client_destroy(take_ptr(&events->client));
}

static int events_connect(struct events *events, struct error *err)
{
	int fd;

	if (events->client)
		return 0;
	fd = unix_socket_connect(events->address);
	if (fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, "cannot connect to \"%s\": %s",
		                 events->address, strerrordesc_np(-fd));
	events->client = ttrpc_client_create(events->loop, fd, on_lost, events);
	return 0;
}

/* Whether the event itself is what containerd does not take, and not that it cannot just now. */
static bool is_refusal(const struct error *err)
{
	return err->code != ERROR_UNAVAILABLE && err->code != ERROR_DEADLINE_EXCEEDED &&
	       err->code != ERROR_CANCELED;
}

/* The first event did not get through. */
static void events_failed(struct events *events, const struct error *err)
{
	struct event *event = STAILQ_FIRST(&events->waiting);

	if (is_refusal(err) && ++event->refusals == REFUSALS_MAX) {
		log_error("event dropped topic=%s: containerd refuses it: %s", event->topic,
		          err->text);
		event_drop_first(events);
	}
	events_pause(events, err);
}

static void on_forwarded(void *ctx, const ProtobufCMessage *response, const struct error *err)
{
	struct events *events = ctx;

	events->sending = false;
	if (err) {
		events_failed(events, err);
		return;
	}
	if (events->away)
		log_info("containerd takes events again");
	events->away = false;
	events->pause_s = PAUSE_FIRST_S;
	event_drop_first(events);
	events_send(events);
}

static int event_forward(struct events *events, const struct event *event, struct error *err)
{
	Containerd__Services__Events__Ttrpc__V1__ForwardRequest request =
		CONTAINERD__SERVICES__EVENTS__TTRPC__V1__FORWARD_REQUEST__INIT;
	Containerd__Services__Events__Ttrpc__V1__Envelope envelope =
		CONTAINERD__SERVICES__EVENTS__TTRPC__V1__ENVELOPE__INIT;
	Google__Protobuf__Timestamp timestamp = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	timestamp.seconds = event->time.tv_sec;
	timestamp.nanos = (int32_t)event->time.tv_nsec;
	any.type_url = (char *)event->type;
	any.value = event->bytes;
	envelope.timestamp = &timestamp;
	envelope.namespace_ = events->ns;
	envelope.topic = event->topic;
	envelope.event = &any;
	request.envelope = &envelope;
	return ttrpc_client_call(events->client, SERVICE, METHOD, &request.base,
	                         &google__protobuf__empty__descriptor, events->timeout_ms,
	                         on_forwarded, events, NULL, err);
}

/* Sends the first event, if it can go. */
static void events_send(struct events *events)
{
	struct error err;

	if (events->sending || !events->nwaiting || ev_is_active(&events->pause))
		return;
	if (events_connect(events, &err) < 0) {
		events_failed(events, &err);
	} else if (event_forward(events, STAILQ_FIRST(&events->waiting), &err) < 0) {
		ttrpc_client_destroy(take_ptr(&events->client)); /* used up, or broken */
		events_failed(events, &err);
	} else {
		events->sending = true;
	}
}

/* The oldest makes room; the one that is on its way is not the one to go. */
static void make_room(struct events *events)
{
	struct event *oldest = STAILQ_FIRST(&events->waiting);

	if (events->sending)
		oldest = STAILQ_NEXT(oldest, link);
	log_warn("event dropped topic=%s: %d wait already", oldest->topic, EVENTS_WAITING_MAX);
	STAILQ_REMOVE(&events->waiting, oldest, event, link);
	events->nwaiting--;
	event_free(oldest);
}

/* The container's id, which is the first field of every event. */
static const char *event_id(const ProtobufCMessage *message)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(
		message->descriptor, "container_id");

	return field ? *(char *const *)((const char *)message + field->offset) : "";
}

void events_publish(struct events *events, const char *topic, const ProtobufCMessage *message)
{
	bool only_logged = !events->address;
	struct event *event;

	log_write(only_logged ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "event topic=%s id=%s", topic,
	          event_id(message));
	if (only_logged)
		return;
	if (events->nwaiting == EVENTS_WAITING_MAX)
		make_room(events);
	event = mem_new(struct event);
	event->topic = mem_strdup(topic);
	event->type = message->descriptor->name;
	event->bytes = message_encode(message);
	clock_gettime(CLOCK_REALTIME, &event->time);
	STAILQ_INSERT_TAIL(&events->waiting, event, link);
	events->nwaiting++;
	events_send(events);
}

/* The one that is on its way counts as delivered. */
static bool waits_already(const struct events *events, const ProtobufCMessage *message)
{
	const struct event *event = STAILQ_FIRST(&events->waiting);
	ProtobufCBinaryData bytes = message_encode(message);
	bool found = false;

	if (event && events->sending)
		event = STAILQ_NEXT(event, link);
	for (; event && !found; event = STAILQ_NEXT(event, link))
		found = event->type == message->descriptor->name && event->bytes.len == bytes.len &&
		        memcmp(event->bytes.data, bytes.data, bytes.len) == 0;
	free(bytes.data);
	return found;
}

void events_publish_once(struct events *events, const char *topic, const ProtobufCMessage *message)
{
	if (!waits_already(events, message))
		events_publish(events, topic, message);
}

static void drain_end(struct events *events)
{
	void (*done)(void *ctx) = events->on_drained;

	ev_timer_stop(events->loop, &events->drain_deadline);
	ev_timer_stop(events->loop, &events->drained);
	events->on_drained = NULL;
	done(events->drain_ctx);
}

static void on_drained(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	drain_end(watcher->data);
}

static void on_drain_deadline(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct events *events = watcher->data;

	log_warn("%u events are not delivered: containerd does not take them", events->nwaiting);
	drain_end(events);
}

void events_drain(struct events *events, int timeout_ms, void (*done)(void *ctx), void *ctx)
{
	events->on_drained = done;
	events->drain_ctx = ctx;
	ev_now_update(events->loop);
	ev_timer_set(&events->drain_deadline, timeout_ms / 1e3, 0);
	ev_timer_start(events->loop, events->nwaiting ? &events->drain_deadline : &events->drained);
}

/* "unix:///x", "/x"; what is too long for a socket is said, and then as good as none. */
static void set_address(struct events *events, const char *address)
{
	static const char scheme[] = "unix://";
	struct error err;

	if (!address || !*address) {
		log_info("no TTRPC_ADDRESS: events are not sent to anybody");
		return;
	}
	if (strncmp(address, scheme, strlen(scheme)) == 0)
		address += strlen(scheme);
	if (unix_socket_check(address, &err) < 0)
		log_error("TTRPC_ADDRESS: %s: no events are sent", err.text);
	else
		events->address = mem_strdup(address);
}

struct events *events_create(struct ev_loop *loop, const char *address, const char *ns,
                             int timeout_ms)
{
	struct events *events = mem_new(struct events);

	events->loop = loop;
	events->ns = mem_strdup(ns);
	events->timeout_ms = timeout_ms;
	events->pause_s = PAUSE_FIRST_S;
	STAILQ_INIT(&events->waiting);
	set_address(events, address);
	ev_timer_init(&events->pause, on_pause_over, 0, 0);
	ev_timer_init(&events->drained, on_drained, 0, 0);
	ev_timer_init(&events->drain_deadline, on_drain_deadline, 0, 0);
	events->pause.data = events->drained.data = events->drain_deadline.data = events;
	return events;
}

void events_destroy(struct events *events)
{
	struct event *event;

	if (!events)
		return;
	ttrpc_client_destroy(events->client);
	ev_timer_stop(events->loop, &events->pause);
	ev_timer_stop(events->loop, &events->drained);
	ev_timer_stop(events->loop, &events->drain_deadline);
	while ((event = STAILQ_FIRST(&events->waiting))) {
		STAILQ_REMOVE_HEAD(&events->waiting, link);
		event_free(event);
	}
	free(events->address);
	free(events->ns);
	free(events);
}
