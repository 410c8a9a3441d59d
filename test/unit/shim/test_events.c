#include "shim/pod/events.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "proto/forward.pb-c.h"
#include "proto/message.h"
#include "proto/ttrpc/ttrpc_server.h"

#define ATTEMPT_MS 5000

#define FORWARDED_MAX 5000

typedef Containerd__Services__Events__Ttrpc__V1__ForwardRequest ForwardRequest;

/* A containerd that only takes events. */
static struct containerd {
	struct ev_loop *loop;
	char dir[32];
	char address[64];
	struct ttrpc_server *server;
	int refusals;   /* how many calls to refuse */
	int silent;     /* how many calls to leave without an answer */
	int stop_after; /* end the loop after so many events */
	int n;
	char *topics[FORWARDED_MAX];
	char *ids[FORWARDED_MAX];
	char ns[32];
	char type[64];
	int64_t seconds;
} fake;

static void keep(const ForwardRequest *request)
{
	const Google__Protobuf__Any *any = request->envelope->event;
	ProtobufCMessage *message = NULL;

	cr_assert_eq(message_decode(&containerd__events__task_start__descriptor, any->value.data,
	                            any->value.len, &message, NULL),
	             0);
	cr_assert_lt(fake.n, FORWARDED_MAX);
	fake.ids[fake.n] = mem_strdup(((Containerd__Events__TaskStart *)message)->container_id);
	fake.topics[fake.n++] = mem_strdup(request->envelope->topic);
	snprintf(fake.ns, sizeof(fake.ns), "%s", request->envelope->namespace_);
	snprintf(fake.type, sizeof(fake.type), "%s", any->type_url);
	fake.seconds = request->envelope->timestamp->seconds;
	message_free(message);
}

static void on_forward(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct error err;

	if (fake.silent) { /* as a containerd that is killed in mid-call */
		fake.silent--;
		ttrpc_server_destroy(take_ptr(&fake.server));
		error_set(&err, ERROR_UNAVAILABLE, "gone");
		ttrpc_call_fail(call, &err);
		ev_break(fake.loop, EVBREAK_ALL);
		return;
	}
	if (fake.refusals) {
		fake.refusals--;
		error_set(&err, ERROR_INVALID_ARGUMENT, "no such topic");
		ttrpc_call_fail(call, &err);
		return;
	}
	keep((const ForwardRequest *)request);
	ttrpc_call_finish(call, NULL);
	if (fake.n == fake.stop_after)
		ev_break(fake.loop, EVBREAK_ALL);
}

static const struct ttrpc_method methods[] = {
	{ "Forward", &containerd__services__events__ttrpc__v1__forward_request__descriptor,
	  &google__protobuf__empty__descriptor, on_forward },
	{ 0 },
};

static const struct ttrpc_service services[] = {
	{ "containerd.services.events.ttrpc.v1.Events", methods },
	{ 0 },
};

static void containerd_start(void)
{
	static const struct ttrpc_server_config config = { .services = services };
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", fake.address);
	unlink(fake.address);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	cr_assert_eq(listen(fd, 10), 0);
	cr_assert_eq(ttrpc_server_create(fake.loop, fd, &config, &fake.server, NULL), 0);
}

static void on_timeout(struct ev_loop *loop, ev_timer *watcher, int events)
{
	ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until so many events have come, or for a time. */
static void run(int stop_after, double seconds)
{
	ev_timer timeout;

	fake.stop_after = stop_after;
	ev_timer_init(&timeout, on_timeout, seconds, 0);
	ev_now_update(fake.loop);
	ev_timer_start(fake.loop, &timeout);
	ev_run(fake.loop, 0);
	ev_timer_stop(fake.loop, &timeout);
}

static void publish(struct events *events, const char *id)
{
	Containerd__Events__TaskStart event = CONTAINERD__EVENTS__TASK_START__INIT;

	event.container_id = (char *)id;
	events_publish(events, "/tasks/start", &event.base);
}

static void publish_number(struct events *events, int number)
{
	char id[20];

	snprintf(id, sizeof(id), "%d", number);
	publish(events, id);
}

static void expect_numbers(int first, int last)
{
	char id[20];

	cr_assert_eq(fake.n, last - first + 1, "%d events", fake.n);
	for (int i = first; i <= last; i++) {
		snprintf(id, sizeof(id), "%d", i);
		cr_assert_str_eq(fake.ids[i - first], id);
	}
}

static void setup(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	fake.loop = ev_loop_new(EVFLAG_AUTO);
	strcpy(fake.dir, "/tmp/kata-events.XXXXXX");
	cr_assert_not_null(mkdtemp(fake.dir));
	snprintf(fake.address, sizeof(fake.address), "%s/ttrpc", fake.dir);
}

static void teardown(void)
{
	ttrpc_server_destroy(fake.server);
	for (int i = 0; i < fake.n; i++) {
		free(fake.topics[i]);
		free(fake.ids[i]);
	}
	unlink(fake.address);
	rmdir(fake.dir);
	ev_loop_destroy(fake.loop);
}

TestSuite(events, .init = setup, .fini = teardown, .timeout = 120);

Test(events, arrive_in_an_envelope)
{
	autodestroy(events) struct events *events = NULL;

	containerd_start();
	events = events_create(fake.loop, fake.address, "k8s.io", ATTEMPT_MS);
	publish(events, "web");
	run(1, 10);
	cr_assert_eq(fake.n, 1);
	cr_assert_str_eq(fake.topics[0], "/tasks/start");
	cr_assert_str_eq(fake.ids[0], "web");
	cr_assert_str_eq(fake.ns, "k8s.io");
	cr_assert_str_eq(fake.type, "containerd.events.TaskStart");
	cr_assert_lt(labs(time(NULL) - fake.seconds), 10);
}

Test(events, take_an_address_with_a_scheme)
{
	autofree char *uri = mem_printf("unix://%s", fake.address);
	autodestroy(events) struct events *events =
		events_create(fake.loop, uri, "default", ATTEMPT_MS);

	containerd_start();
	publish(events, "web");
	run(1, 10);
	cr_assert_eq(fake.n, 1);
}

Test(events, keep_their_order)
{
	autodestroy(events) struct events *events = NULL;

	containerd_start();
	events = events_create(fake.loop, fake.address, "default", ATTEMPT_MS);
	for (int i = 1; i <= 100; i++)
		publish_number(events, i);
	run(100, 10);
	expect_numbers(1, 100);
}

Test(events, wait_for_a_containerd_that_is_not_there_yet)
{
	autodestroy(events) struct events *events =
		events_create(fake.loop, fake.address, "n", ATTEMPT_MS);

	for (int i = 1; i <= 3; i++)
		publish_number(events, i);
	run(1, 0.3);
	cr_assert_eq(fake.n, 0);
	containerd_start();
	run(3, 10);
	expect_numbers(1, 3);
}

Test(events, reach_a_containerd_that_was_started_again)
{
	autodestroy(events) struct events *events = NULL;

	containerd_start();
	events = events_create(fake.loop, fake.address, "default", ATTEMPT_MS);
	publish_number(events, 1);
	run(1, 10);
	ttrpc_server_destroy(take_ptr(&fake.server));
	publish_number(events, 2);
	run(2, 0.3);
	publish_number(events, 3);
	containerd_start();
	run(3, 10);
	expect_numbers(1, 3);
}

Test(events, are_sent_again_when_containerd_dies_before_it_answers)
{
	autodestroy(events) struct events *events = NULL;

	containerd_start();
	fake.silent = 1;
	events = events_create(fake.loop, fake.address, "default", ATTEMPT_MS);
	publish_number(events, 1);
	publish_number(events, 2);
	run(1, 10);
	cr_assert_null(fake.server);
	containerd_start();
	run(2, 10);
	expect_numbers(1, 2);
}

Test(events, are_tried_again_when_they_are_refused)
{
	autodestroy(events) struct events *events = NULL;

	containerd_start();
	fake.refusals = 2;
	events = events_create(fake.loop, fake.address, "default", ATTEMPT_MS);
	publish_number(events, 1);
	publish_number(events, 2);
	run(2, 10);
	expect_numbers(1, 2);
}

Test(events, that_are_always_refused_let_the_next_one_pass)
{
	autodestroy(events) struct events *events = NULL;

	log_set_level(LOG_LEVEL_ERROR);
	containerd_start();
	fake.refusals = 5;
	events = events_create(fake.loop, fake.address, "default", ATTEMPT_MS);
	publish_number(events, 1);
	publish_number(events, 2);
	run(1, 20);
	expect_numbers(2, 2);
}

Test(events, that_are_too_many_push_the_oldest_out)
{
	autodestroy(events) struct events *events =
		events_create(fake.loop, fake.address, "n", ATTEMPT_MS);

	for (int i = 1; i <= EVENTS_WAITING_MAX + 3; i++)
		publish_number(events, i);
	containerd_start();
	run(EVENTS_WAITING_MAX, 30);
	expect_numbers(4, EVENTS_WAITING_MAX + 3);
}

/* A guest may be out of memory ten times a second. */
Test(events, that_are_to_wait_once_push_nothing_out)
{
	autodestroy(events) struct events *events =
		events_create(fake.loop, fake.address, "n", ATTEMPT_MS);
	Containerd__Events__TaskOOM oom = CONTAINERD__EVENTS__TASK_OOM__INIT;

	publish_number(events, 1);
	for (int i = 0; i <= EVENTS_WAITING_MAX; i++) {
		oom.container_id = i % 2 ? "a" : "b";
		events_publish_once(events, "/tasks/oom", &oom.base);
	}
	publish_number(events, 2);
	containerd_start();
	run(4, 30);
	cr_assert_eq(fake.n, 4);
	cr_expect_str_eq(fake.ids[0], "1");
	cr_expect_str_eq(fake.ids[3], "2");
}

static void on_drained(void *ctx)
{
	*(int *)ctx += 1;
	ev_break(fake.loop, EVBREAK_ALL);
}

Test(events, are_drained_when_the_last_has_arrived)
{
	autodestroy(events) struct events *events = NULL;
	int drained = 0;

	containerd_start();
	events = events_create(fake.loop, fake.address, "default", ATTEMPT_MS);
	publish_number(events, 1);
	publish_number(events, 2);
	events_drain(events, 10000, on_drained, &drained);
	cr_assert_eq(drained, 0);
	run(0, 10);
	cr_assert_eq(drained, 1);
	expect_numbers(1, 2);
}

Test(events, are_drained_at_once_when_none_waits)
{
	autodestroy(events) struct events *events =
		events_create(fake.loop, fake.address, "n", ATTEMPT_MS);
	int drained = 0;

	events_drain(events, 10000, on_drained, &drained);
	cr_assert_eq(drained, 0);
	run(0, 10);
	cr_assert_eq(drained, 1);
}

Test(events, are_given_up_at_the_deadline_of_the_drain)
{
	autodestroy(events) struct events *events =
		events_create(fake.loop, fake.address, "n", ATTEMPT_MS);
	int drained = 0;

	publish_number(events, 1);
	events_drain(events, 100, on_drained, &drained);
	run(0, 10);
	cr_assert_eq(drained, 1);
}

Test(events, without_an_address_go_nowhere)
{
	static const char *const none[] = { NULL, "" };

	for (int i = 0; i < 2; i++) {
		autodestroy(events) struct events *events =
			events_create(fake.loop, none[i], "n", ATTEMPT_MS);
		int drained = 0;

		publish_number(events, 1);
		events_drain(events, 10000, on_drained, &drained);
		run(0, 10);
		cr_assert_eq(drained, 1);
	}
}
