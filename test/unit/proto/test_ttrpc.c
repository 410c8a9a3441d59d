/*
 * The two ends of ttrpc against each other, in one loop, over a Unix socket; and the server against
 * bytes that no client of ours would send.
 */
#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"
#include "proto/health.pb-c.h"
#include "proto/ttrpc/ttrpc_client.h"
#include "proto/ttrpc/ttrpc_frame.h"
#include "proto/ttrpc/ttrpc_server.h"

#define SERVICE    "grpc.Health"
#define PENDING    (TTRPC_SERVER_CALLS_MAX + 2)
#define TEST_ENDS  60 /* seconds: a test that waits longer has failed */
#define LONG_REPLY (3 << 20)

struct fixture {
	struct ev_loop *loop;
	struct ttrpc_server *server;
	struct sockaddr_un address;
	struct ttrpc_call *held[PENDING];
	size_t nheld;
	size_t nwaits;
	int idle;
	int faults;
	ev_timer end;
};

struct answer {
	struct fixture *fixture;
	int times;
	enum error_code code;
	char text[ERROR_TEXT_MAX];
	char *version;
};

static void serve_version(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	const Grpc__CheckRequest *check = (const Grpc__CheckRequest *)request;
	Grpc__VersionCheckResponse response = GRPC__VERSION_CHECK_RESPONSE__INIT;
	autofree char *long_text = NULL;

	response.agent_version = check->service;
	if (!strcmp(check->service, "long")) {
		long_text = mem_alloc(LONG_REPLY + 1);
		memset(long_text, 'x', LONG_REPLY);
		response.agent_version = long_text;
	}
	ttrpc_call_reply(call, &response.base);
}

static void hold_check(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct fixture *fixture = ctx;

	cr_assert_lt(fixture->nheld, PENDING);
	fixture->held[fixture->nheld++] = call;
}

static void forget_wait(void *call)
{
	ttrpc_call_finish(call, NULL);
}

/* Is never answered. */
static void count_wait(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct fixture *fixture = ctx;

	fixture->nwaits++;
	cr_assert_eq(ttrpc_call_park(call, forget_wait, call, NULL), 0);
}

static const struct ttrpc_method health_methods[] = {
	{ "Check", &grpc__check_request__descriptor, &grpc__health_check_response__descriptor,
	  hold_check },
	{ "Wait", &grpc__check_request__descriptor, &grpc__health_check_response__descriptor,
	  count_wait },
	{ "Version", &grpc__check_request__descriptor, &grpc__version_check_response__descriptor,
	  serve_version },
	{ 0 },
};

static const struct ttrpc_service services[] = { { SERVICE, health_methods }, { 0 } };

/* In these tests a stranger is who has bound its socket to a name. */
static int admit_unnamed(int fd, struct error *err)
{
	struct sockaddr_un peer;
	socklen_t len = sizeof(peer);

	cr_assert_eq(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	if (len > sizeof(sa_family_t))
		return error_set(err, ERROR_PERMISSION_DENIED, "a stranger");
	return 0;
}

static void on_idle(void *ctx)
{
	struct fixture *fixture = ctx;

	fixture->idle++;
	ev_break(fixture->loop, EVBREAK_ALL);
}

static void on_fault(void *ctx, const struct error *err)
{
	struct fixture *fixture = ctx;

	fixture->faults++;
}

static void on_end(struct ev_loop *loop, ev_timer *watcher, int events)
{
	cr_assert_fail("the test did not end");
}

static void fixture_init(struct fixture *fixture)
{
	struct ttrpc_server_config config = { .services = services,
		                              .ctx = fixture,
		                              .admit = admit_unnamed,
		                              .on_idle = on_idle,
		                              .on_fault = on_fault };
	socklen_t len = sizeof(fixture->address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*fixture = (struct fixture){ .loop = ev_loop_new(0), .address.sun_family = AF_UNIX };
	/* An abstract name that the kernel chooses: unix(7), "Autobind feature". */
	cr_assert_eq(bind(fd, (struct sockaddr *)&fixture->address, sizeof(sa_family_t)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&fixture->address, &len), 0);
	cr_assert_eq(listen(fd, 4), 0);
	cr_assert_eq(ttrpc_server_create(fixture->loop, fd, &config, &fixture->server, NULL), 0);
	ev_timer_init(&fixture->end, on_end, TEST_ENDS, 0);
	ev_timer_start(fixture->loop, &fixture->end);
}

static void fixture_fini(struct fixture *fixture)
{
	ttrpc_server_destroy(fixture->server);
	ev_timer_stop(fixture->loop, &fixture->end);
	ev_loop_destroy(fixture->loop);
}

static int fixture_connect_as(const struct fixture *fixture, bool stranger)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sa_family_t) + 1 + strlen(fixture->address.sun_path + 1);

	if (stranger)
		cr_assert_eq(bind(fd, (const struct sockaddr *)&any, sizeof(sa_family_t)), 0);
	cr_assert_eq(connect(fd, (const struct sockaddr *)&fixture->address, len), 0);
	return fd;
}

static int fixture_connect(const struct fixture *fixture)
{
	return fixture_connect_as(fixture, false);
}

static void on_answer(void *ctx, const ProtobufCMessage *response, const struct error *err)
{
	struct answer *answer = ctx;

	answer->times++;
	answer->code = err ? err->code : ERROR_NONE;
	snprintf(answer->text, sizeof(answer->text), "%s", err ? err->text : "");
	if (response && response->descriptor == &grpc__version_check_response__descriptor)
		answer->version =
			mem_strdup(((const Grpc__VersionCheckResponse *)response)->agent_version);
	ev_break(answer->fixture->loop, EVBREAK_ALL);
}

static uint32_t call(struct ttrpc_client *client, const char *method, const char *text,
                     int timeout_ms, struct answer *answer)
{
	Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
	bool version = !strcmp(method, "Version");
	uint32_t id = 0;

	request.service = (char *)text;
	cr_assert_eq(ttrpc_client_call(client, SERVICE, method, &request.base,
	                               version ? &grpc__version_check_response__descriptor
	                                       : &grpc__health_check_response__descriptor,
	                               timeout_ms, on_answer, answer, &id, NULL),
	             0);
	return id;
}

Test(ttrpc, a_call_gets_its_answer)
{
	struct fixture fixture;
	struct answer answer = { .fixture = &fixture };
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	call(client, "Version", "1.2", TEST_ENDS * 1000, &answer);
	ev_run(fixture.loop, 0);
	cr_assert_eq(answer.times, 1);
	cr_assert_eq(answer.code, ERROR_NONE);
	cr_assert_str_eq(answer.version, "1.2");
	free(answer.version);
	ttrpc_client_destroy(client);
	fixture_fini(&fixture);
}

Test(ttrpc, an_answer_of_megabytes_arrives_whole)
{
	struct fixture fixture;
	struct answer answer = { .fixture = &fixture };
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	call(client, "Version", "long", TEST_ENDS * 1000, &answer);
	ev_run(fixture.loop, 0);
	cr_assert_eq(answer.code, ERROR_NONE);
	cr_assert_eq(strlen(answer.version), LONG_REPLY);
	free(answer.version);
	ttrpc_client_destroy(client);
	fixture_fini(&fixture);
}

Test(ttrpc, calls_may_be_answered_in_any_order)
{
	struct fixture fixture;
	struct answer answers[3] = { { .fixture = &fixture },
		                     { .fixture = &fixture },
		                     { .fixture = &fixture } };
	struct ttrpc_client *client;
	struct error err;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	for (size_t i = 0; i < 3; i++)
		call(client, "Check", "", 0, &answers[i]);
	while (fixture.nheld < 3)
		ev_run(fixture.loop, EVRUN_ONCE);
	error_set(&err, ERROR_NOT_FOUND, "no such thing");
	ttrpc_call_fail(fixture.held[2], &err);
	ev_run(fixture.loop, 0);
	cr_assert_eq(answers[2].code, ERROR_NOT_FOUND);
	cr_assert_str_eq(answers[2].text, "no such thing");
	cr_assert_eq(answers[0].times + answers[1].times, 0);
	ttrpc_call_finish(fixture.held[0], NULL);
	ev_run(fixture.loop, 0);
	cr_assert_eq(answers[0].times, 1);
	cr_assert_eq(answers[0].code, ERROR_NONE);
	ttrpc_client_destroy(client); /* the call still pending is dropped silently */
	cr_assert_eq(answers[1].times, 0);
	ev_run(fixture.loop, 0); /* until the server has seen its last connection go */
	cr_assert_eq(fixture.idle, 1);
	ttrpc_call_finish(fixture.held[1], NULL);
	fixture_fini(&fixture);
}

Test(ttrpc, an_unknown_method_is_unimplemented)
{
	struct fixture fixture;
	struct answer answer = { .fixture = &fixture };
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	call(client, "Nothing", "", TEST_ENDS * 1000, &answer);
	ev_run(fixture.loop, 0);
	cr_assert_eq(answer.code, ERROR_UNIMPLEMENTED);
	cr_assert_not_null(strstr(answer.text, "Nothing"));
	ttrpc_client_destroy(client);
	fixture_fini(&fixture);
}

Test(ttrpc, a_call_without_answer_ends_at_its_deadline)
{
	struct fixture fixture;
	struct answer answer = { .fixture = &fixture };
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	call(client, "Check", "", 50, &answer);
	ev_run(fixture.loop, 0);
	cr_assert_eq(answer.code, ERROR_DEADLINE_EXCEEDED);
	cr_assert_eq(fixture.nheld, 1);
	ttrpc_call_finish(fixture.held[0], NULL); /* a late answer is dropped */
	call(client, "Version", "later", TEST_ENDS * 1000, &answer);
	ev_run(fixture.loop, 0);
	cr_assert_eq(answer.times, 2);
	cr_assert_str_eq(answer.version, "later");
	free(answer.version);
	ttrpc_client_destroy(client);
	fixture_fini(&fixture);
}

/* As after a SIGSTOP of the client, or a slow machine: what has come counts, not the clock. */
Test(ttrpc, an_answer_that_has_come_wins_over_a_deadline_that_has_passed)
{
	struct fixture fixture;
	struct answer answer = { .fixture = &fixture };
	struct ev_loop *stopped = ev_loop_new(0);
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(stopped, fixture_connect(&fixture), NULL, NULL);
	call(client, "Check", "", 50, &answer);
	while (!fixture.nheld)
		ev_run(fixture.loop, EVRUN_ONCE);
	ttrpc_call_finish(fixture.held[0], NULL);
	usleep(100000);
	ev_run(stopped, EVRUN_ONCE);
	cr_expect_eq(answer.times, 1);
	cr_expect_eq(answer.code, ERROR_NONE, "%s", answer.text);
	ttrpc_client_destroy(client);
	ev_loop_destroy(stopped);
	fixture_fini(&fixture);
}

/* ttrpc cannot cancel a call. */
Test(ttrpc, waits_that_nobody_awaits_any_more_leave_room_for_calls)
{
	struct fixture fixture;
	struct answer waited = { .fixture = &fixture }, answer = { .fixture = &fixture };
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	for (size_t i = 0; i < 5000; i++)
		ttrpc_client_forget(client, call(client, "Wait", "", 0, &waited));
	call(client, "Version", "room", TEST_ENDS * 1000, &answer);
	while (!answer.times)
		ev_run(fixture.loop, EVRUN_ONCE);
	cr_assert_eq(answer.code, ERROR_NONE, "%s", answer.text);
	cr_expect_eq(fixture.nwaits, 5000);
	cr_expect_eq(waited.times, 0);
	free(answer.version);
	ttrpc_client_destroy(client);
	fixture_fini(&fixture);
}

Test(ttrpc, calls_whose_deadline_has_passed_leave_room_for_others)
{
	struct fixture fixture;
	struct answer late = { .fixture = &fixture }, answer = { .fixture = &fixture };
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	for (size_t i = 0; i < TTRPC_SERVER_CALLS_MAX; i++)
		call(client, "Check", "", 100, &late);
	while (late.times < TTRPC_SERVER_CALLS_MAX || fixture.nheld < TTRPC_SERVER_CALLS_MAX ||
	       !ttrpc_call_is_late(fixture.held[TTRPC_SERVER_CALLS_MAX - 1]))
		ev_run(fixture.loop, EVRUN_ONCE);
	cr_assert_eq(late.code, ERROR_DEADLINE_EXCEEDED);
	cr_assert(ttrpc_call_is_orphan(fixture.held[TTRPC_SERVER_CALLS_MAX - 1]));
	call(client, "Version", "room", TEST_ENDS * 1000, &answer);
	while (!answer.times)
		ev_run(fixture.loop, EVRUN_ONCE);
	cr_assert_eq(answer.code, ERROR_NONE, "%s", answer.text);
	free(answer.version);
	for (size_t i = 0; i < fixture.nheld; i++)
		ttrpc_call_finish(fixture.held[i], NULL);
	ttrpc_client_destroy(client);
	fixture_fini(&fixture);
}

Test(ttrpc, a_parked_call_is_told_that_its_connection_has_gone)
{
	struct fixture fixture;
	struct answer waited = { .fixture = &fixture };
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	call(client, "Wait", "", 0, &waited);
	while (!fixture.nwaits)
		ev_run(fixture.loop, EVRUN_ONCE);
	ttrpc_client_destroy(client);
	ev_run(fixture.loop, 0); /* the wait is answered, or the sanitizer sees it leak */
	cr_assert_eq(fixture.idle, 1);
	fixture_fini(&fixture);
}

Test(ttrpc, a_forgotten_call_is_not_answered)
{
	struct fixture fixture;
	struct answer forgotten = { .fixture = &fixture }, answer = { .fixture = &fixture };
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	ttrpc_client_forget(client, call(client, "Version", "one", TEST_ENDS * 1000, &forgotten));
	call(client, "Version", "two", TEST_ENDS * 1000, &answer);
	ev_run(fixture.loop, 0);
	cr_assert_str_eq(answer.version, "two");
	cr_assert_eq(forgotten.times, 0);
	free(answer.version);
	ttrpc_client_destroy(client);
	fixture_fini(&fixture);
}

static void on_lost(void *ctx, const struct error *err)
{
	int *lost = ctx;

	cr_assert_eq(err->code, ERROR_UNAVAILABLE);
	++*lost;
}

Test(ttrpc, loss_of_the_peer_fails_what_waits_and_then_tells)
{
	struct fixture fixture;
	struct answer answer = { .fixture = &fixture };
	struct ttrpc_client *client;
	int pair[2], lost = 0;

	fixture_init(&fixture);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	client = ttrpc_client_create(fixture.loop, pair[0], on_lost, &lost);
	call(client, "Check", "", 0, &answer);
	close(pair[1]);
	ev_run(fixture.loop, 0);
	cr_assert_eq(answer.code, ERROR_UNAVAILABLE);
	cr_assert_eq(lost, 1);
	ttrpc_client_destroy(client);
	fixture_fini(&fixture);
}

static void send_bytes(struct fixture *fixture, const void *bytes, size_t len)
{
	int fd = fixture_connect(fixture);

	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	while (!fixture->faults)
		ev_run(fixture->loop, EVRUN_ONCE);
	close(fd);
}

Test(ttrpc, a_broken_frame_ends_its_connection_only)
{
	static const uint8_t too_long[] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1, 0 };
	struct fixture fixture;
	struct answer answer = { .fixture = &fixture };
	struct ttrpc_client *client;

	fixture_init(&fixture);
	client = ttrpc_client_create(fixture.loop, fixture_connect(&fixture), NULL, NULL);
	send_bytes(&fixture, too_long, sizeof(too_long));
	call(client, "Version", "alive", TEST_ENDS * 1000, &answer);
	ev_run(fixture.loop, 0);
	cr_assert_eq(answer.code, ERROR_NONE);
	cr_assert_str_eq(answer.version, "alive");
	cr_assert_eq(fixture.faults, 1);
	free(answer.version);
	ttrpc_client_destroy(client);
	fixture_fini(&fixture);
}

/* Sends an empty frame on a raw connection and reads the frame that answers it. */
static void exchange(struct fixture *fixture, int fd, const struct ttrpc_frame *frame,
                     struct ttrpc_frame *answer, uint8_t *bytes, size_t size)
{
	uint8_t header[TTRPC_HEADER_SIZE];
	ssize_t n = 0;

	ttrpc_header_write(header, frame);
	cr_assert_eq(write(fd, header, sizeof(header)), (ssize_t)sizeof(header));
	while (n <= 0) {
		ev_run(fixture->loop, EVRUN_NOWAIT);
		n = recv(fd, bytes, size, MSG_DONTWAIT);
	}
	cr_assert_gt(ttrpc_frame_read(bytes, n, answer, NULL), 0);
}

Test(ttrpc, stream_ids_must_be_odd_and_rise)
{
	static const uint32_t wrong[] = { 2, 1, 1 }; /* even; then 1 is used, and used again */
	struct fixture fixture;
	struct ttrpc_frame answer;
	uint8_t bytes[4096];
	int fd;

	fixture_init(&fixture);
	fd = fixture_connect(&fixture);
	for (size_t i = 0; i < 3; i++) {
		struct ttrpc_frame frame = { .stream = wrong[i], .type = TTRPC_FRAME_REQUEST };

		exchange(&fixture, fd, &frame, &answer, bytes, sizeof(bytes));
		cr_assert_eq(answer.type, TTRPC_FRAME_RESPONSE);
		cr_assert_eq(answer.stream, wrong[i]);
	}
	cr_assert_eq(fixture.faults, 0);
	close(fd);
	fixture_fini(&fixture);
}

Test(ttrpc, who_is_not_admitted_is_turned_away_unheard)
{
	struct ttrpc_frame frame = { .stream = 1, .type = TTRPC_FRAME_REQUEST };
	struct ttrpc_frame answer;
	struct fixture fixture;
	uint8_t bytes[4096];
	int fd;

	fixture_init(&fixture);
	fd = fixture_connect_as(&fixture, true);
	ttrpc_header_write(bytes, &frame);
	cr_assert_eq(write(fd, bytes, TTRPC_HEADER_SIZE), TTRPC_HEADER_SIZE);
	while (!fixture.faults)
		ev_run(fixture.loop, EVRUN_ONCE);
	cr_assert_leq(read(fd, bytes, sizeof(bytes)), 0, "not even an answer");
	close(fd);
	fd = fixture_connect(&fixture);
	exchange(&fixture, fd, &frame, &answer, bytes, sizeof(bytes));
	cr_assert_eq(answer.type, TTRPC_FRAME_RESPONSE, "others are served");
	close(fd);
	fixture_fini(&fixture);
}
