#include "hypervisor/qemu/qmp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

#define GREETING  "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
#define HANDSHAKE "{\"execute\":\"qmp_capabilities\",\"id\":1}\n"
#define LONG_MS   10000

static struct ev_loop *loop;
static struct qmp *qmp;
static int qemu; /* the other end of the socket */

/* What the callbacks were told. */
static struct {
	int ready;
	int lost;
	bool destroy_when_lost;
	struct error lost_err;
	char events[200];
} seen;

static void on_ready(void *ctx)
{
	seen.ready++;
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
	size_t len = strlen(seen.events);

	snprintf(seen.events + len, sizeof(seen.events) - len, "%s ", name);
}

static void on_lost(void *ctx, const struct error *err)
{
	seen.lost++;
	error_copy(&seen.lost_err, err);
	if (seen.destroy_when_lost)
		qmp_destroy(take_ptr(&qmp));
}

static const struct qmp_events events = {
	.on_ready = on_ready,
	.on_event = on_event,
	.on_lost = on_lost,
};

static void create_with_timeout(int timeout_ms)
{
	int ends[2];

	loop = ev_loop_new(0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	qemu = ends[1];
	qmp = qmp_create(loop, ends[0], timeout_ms, &events, NULL);
}

static void create(void)
{
	create_with_timeout(LONG_MS);
}

static void destroy(void)
{
	qmp_destroy(qmp);
	close(qemu);
	ev_loop_destroy(loop);
}

TestSuite(qmp, .init = create, .fini = destroy);

static void turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

static void say(const char *text)
{
	cr_assert_eq(write(qemu, text, strlen(text)), (ssize_t)strlen(text));
	turn();
}

static void expect_sent(const char *expected)
{
	char text[1000];
	ssize_t n;

	turn();
	n = recv(qemu, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n < 0 ? 0 : n] = '\0';
	cr_assert_str_eq(text, expected);
}

static void shake_hands(void)
{
	expect_sent(HANDSHAKE);
	say(GREETING "{\"return\": {}, \"id\": 1}\r\n");
	cr_assert_eq(seen.ready, 1);
}

/* What a command's callback was told. */
struct answer {
	int calls;
	json_int_t value; /* of the result, an integer */
	struct error err;
};

static void on_done(void *ctx, const json_t *result, const struct error *err)
{
	struct answer *answer = ctx;

	answer->calls++;
	answer->value = json_integer_value(result);
	error_copy(&answer->err, err);
}

static void destroy_on_done(void *ctx, const json_t *result, const struct error *err)
{
	on_done(ctx, result, err);
	qmp_destroy(take_ptr(&qmp));
}

static void execute(const char *command, int timeout_ms, struct answer *answer)
{
	struct error err;

	cr_assert_eq(qmp_execute(qmp, command, NULL, timeout_ms, on_done, answer, &err), 0);
}

Test(qmp, shakes_hands_without_waiting_for_the_greeting)
{
	shake_hands();
	cr_assert_eq(seen.lost, 0);
}

Test(qmp, sends_the_arguments)
{
	struct answer answer = { 0 };
	struct error err;

	shake_hands();
	cr_assert_eq(qmp_execute(qmp, "device_del", json_pack("{s:s}", "id", "d0"), LONG_MS,
	                         on_done, &answer, &err),
	             0);
	expect_sent("{\"execute\":\"device_del\",\"arguments\":{\"id\":\"d0\"},\"id\":2}\n");
}

Test(qmp, matches_replies_in_any_order)
{
	struct answer first = { 0 }, second = { 0 };

	shake_hands();
	execute("one", LONG_MS, &first);
	execute("two", LONG_MS, &second);
	say("{\"return\": 22, \"id\": 3}\n{\"return\": 11, \"id\": 2}\n");
	cr_assert_eq(first.calls, 1);
	cr_assert_eq(first.value, 11);
	cr_assert_eq(second.calls, 1);
	cr_assert_eq(second.value, 22);
}

Test(qmp, puts_a_message_together_from_pieces)
{
	struct answer answer = { 0 };

	shake_hands();
	execute("one", LONG_MS, &answer);
	say("{\"retu");
	say("rn\": 11, \"id\"");
	cr_assert_eq(answer.calls, 0);
	say(": 2}\n");
	cr_assert_eq(answer.value, 11);
}

Test(qmp, tells_why_qemu_refused)
{
	struct answer answer = { 0 };

	shake_hands();
	execute("one", LONG_MS, &answer);
	say("{\"id\": 2, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n");
	cr_assert_eq(answer.calls, 1);
	cr_assert_str_eq(answer.err.text, "QEMU refused \"one\": no");
}

Test(qmp, unknown_id_is_ignored)
{
	shake_hands();
	say("{\"return\": 1, \"id\": 77}\n{\"return\": 1, \"id\": \"x\"}\n{\"return\": 1}\n"
	    "{\"error\": {}, \"id\": 77}\n");
	cr_assert_eq(seen.lost, 0);
}

Test(qmp, gives_events)
{
	shake_hands();
	say("{\"event\": \"STOP\"}\n{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n");
	cr_assert_str_eq(seen.events, "STOP SHUTDOWN ");
}

Test(qmp, fails_what_waits_when_the_peer_goes)
{
	struct answer answer = { 0 };

	shake_hands();
	execute("one", LONG_MS, &answer);
	close(qemu);
	turn();
	turn();
	cr_assert_eq(answer.calls, 1);
	cr_assert_eq(answer.err.code, ERROR_UNAVAILABLE);
	cr_assert_eq(seen.lost, 1);
	cr_assert_eq(seen.lost_err.code, ERROR_UNAVAILABLE);
	cr_assert_eq(qmp_execute(qmp, "two", NULL, LONG_MS, on_done, &answer, NULL), -ECONNREFUSED);
	cr_assert_eq(answer.calls, 1);
}

Test(qmp, command_without_a_reply_ends_by_its_deadline)
{
	struct answer answer = { 0 };

	shake_hands();
	execute("one", 1, &answer);
	while (!answer.calls)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(answer.err.code, ERROR_DEADLINE_EXCEEDED);
	cr_assert_str_eq(answer.err.text, "QEMU has not answered \"one\" within 1 ms");
	say("{\"return\": 1, \"id\": 2}\n"); /* late */
	cr_assert_eq(answer.calls, 1);
	cr_assert_eq(seen.lost, 0);
}

Test(qmp, takes_an_answer_that_came_in_time_though_nobody_looked)
{
	struct answer answer = { 0 };

	shake_hands();
	execute("one", 1, &answer);
	cr_assert_gt(write(qemu, "{\"return\": 7, \"id\": 2}\n", 23), 0);
	usleep(5000); /* as a process that is stopped */
	turn();
	cr_assert_eq(answer.calls, 1);
	cr_assert_eq(answer.value, 7, "%s", answer.err.text);
}

static void execute_with_fd(const char *command, int fd, int timeout_ms, struct answer *answer)
{
	struct error err;

	cr_assert_eq(qmp_execute_with_fd(qmp, command, NULL, fd, timeout_ms, on_done, answer, &err),
	             0);
}

/* The commands that come together are @commands, by their names, and so is the number of
 * descriptors that come with them; returns one of these, or -1. */
static int expect_passed(const char *commands, int nfds)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	char text[1000], names[100] = "";
	struct iovec bytes = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr message = { .msg_iov = &bytes,
		                  .msg_iovlen = 1,
		                  .msg_control = &control,
		                  .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(qemu, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = -1;

	if (n < 0)
		n = message.msg_controllen = 0;
	text[n] = '\0';
	for (const char *at = text; (at = strstr(at, "\"execute\":\"")); at++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%.*s ",
		         (int)strcspn(at + 11, "\""), at + 11);
	cr_assert_str_eq(names, commands);
	cr_assert_eq(CMSG_FIRSTHDR(&message) != NULL, nfds == 1);
	if (nfds) {
		cr_assert_eq(control.header.cmsg_len, CMSG_LEN(sizeof(int)));
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	}
	return fd;
}

static void expect_same_file(int fd, int expected)
{
	struct stat st, expected_st;

	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(fstat(expected, &expected_st), 0);
	cr_assert_eq(st.st_ino, expected_st.st_ino);
	close(fd);
}

Test(qmp, passes_a_descriptor_with_its_command)
{
	struct answer answer = { 0 };
	int file = memfd_create("file", MFD_CLOEXEC);

	shake_hands();
	execute("before", LONG_MS, &answer);
	execute_with_fd("getfd", file, LONG_MS, &answer);
	execute("after", LONG_MS, &answer);
	turn();
	expect_passed("before ", 0);
	turn();
	expect_same_file(expect_passed("getfd after ", 1), file);
	close(file);
}

Test(qmp, passes_the_next_descriptor_when_the_last_was_taken)
{
	struct answer answer = { 0 };
	int files[] = { memfd_create("0", MFD_CLOEXEC), memfd_create("1", MFD_CLOEXEC) };

	shake_hands();
	for (int i = 0; i < 2; i++) {
		execute_with_fd("getfd", files[i], LONG_MS, &answer);
		close(files[i]); /* the caller's, who may */
		files[i] = -1;
	}
	turn();
	turn();
	close(expect_passed("getfd ", 1));
	expect_passed("", 0);
	say("{\"return\": {}, \"id\": 2}\n");
	turn();
	close(expect_passed("getfd ", 1));
	say("{\"return\": {}, \"id\": 3}\n");
	cr_assert_eq(answer.calls, 2);
}

Test(qmp, does_not_wait_for_a_descriptor_whose_command_had_no_answer)
{
	struct answer first = { 0 }, second = { 0 };
	int file = memfd_create("file", MFD_CLOEXEC);

	shake_hands();
	execute_with_fd("one", file, 1, &first);
	execute_with_fd("two", file, LONG_MS, &second);
	usleep(5000); /* a halt: it is sent with its descriptor nevertheless */
	while (!first.calls)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(first.err.code, ERROR_DEADLINE_EXCEEDED);
	turn();
	turn();
	close(expect_passed("one ", 1));
	expect_same_file(expect_passed("two ", 1), file);
	close(file);
}

Test(qmp, closes_a_descriptor_that_was_not_sent)
{
	struct answer answer = { 0 };
	int ends[2];
	char byte;

	cr_assert_eq(pipe(ends), 0);
	execute_with_fd("getfd", ends[1], LONG_MS, &answer);
	close(ends[1]);
	qmp_destroy(take_ptr(&qmp));
	cr_assert_eq(read(ends[0], &byte, 1), 0); /* there is no other */
	close(ends[0]);
}

Test(qmp, is_lost_when_nobody_shakes_hands)
{
	destroy();
	create_with_timeout(1);
	ev_run(loop, 0);
	cr_assert_eq(seen.ready, 0);
	cr_assert_eq(seen.lost, 1);
	cr_assert_str_eq(seen.lost_err.text,
	                 "QEMU has not answered \"qmp_capabilities\" within 1 ms");
}

Test(qmp, is_lost_when_the_handshake_is_refused)
{
	say("{\"error\": {\"desc\": \"go away\"}, \"id\": 1}\n");
	cr_assert_eq(seen.lost, 1);
	cr_assert_str_eq(seen.lost_err.text, "QEMU refused \"qmp_capabilities\": go away");
}

static const char *const nonsense[] = {
	"x\n", "[]\n", "1\n", "{}\n", "{\"return\": 1, \"return\": 2}\n", "\n", "{\"event\": 5}\n",
};

Test(qmp, is_lost_by_nonsense)
{
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		memset(&seen, 0, sizeof(seen));
		shake_hands();
		say(nonsense[i]);
		cr_assert_eq(seen.lost, 1, "by '%s'", nonsense[i]);
		cr_assert_eq(seen.lost_err.code == ERROR_UNAVAILABLE, 0);
		destroy();
		create();
	}
}

Test(qmp, is_lost_by_a_message_without_end)
{
	autofree char *block = mem_alloc(1 << 16);

	memset(block, ' ', 1 << 16);
	shake_hands();
	for (int i = 0; i < 40 && !seen.lost; i++) {
		cr_assert_gt(send(qemu, block, 1 << 16, MSG_DONTWAIT | MSG_NOSIGNAL), 0);
		for (int j = 0; j < 8; j++)
			turn();
	}
	cr_assert_eq(seen.lost, 1);
	cr_assert_str_eq(seen.lost_err.text, "QEMU sent a QMP message longer than 1048576 bytes");
}

Test(qmp, may_be_destroyed_by_a_commands_callback)
{
	struct answer answer = { 0 };

	shake_hands();
	cr_assert_eq(qmp_execute(qmp, "one", NULL, LONG_MS, destroy_on_done, &answer, NULL), 0);
	say("{\"return\": 1, \"id\": 2}\n{\"event\": \"STOP\"}\n");
	cr_assert_null(qmp);
	cr_assert_str_eq(seen.events, "");
}

Test(qmp, may_be_destroyed_when_it_is_lost)
{
	struct answer answer = { 0 };

	shake_hands();
	execute("one", LONG_MS, &answer);
	seen.destroy_when_lost = true;
	say("x\n{\"event\": \"STOP\"}\n");
	cr_assert_null(qmp);
	cr_assert_eq(answer.calls, 1);
}

Test(qmp, destroyed_while_commands_wait_calls_nothing)
{
	struct answer answer = { 0 };

	shake_hands();
	execute("one", LONG_MS, &answer);
	qmp_destroy(take_ptr(&qmp));
	turn();
	cr_assert_eq(answer.calls, 0);
	cr_assert_eq(seen.lost, 0);
}

Test(qmp, refuses_too_many_commands_at_once)
{
	struct answer answer = { 0 };
	struct error err;

	for (int i = 1; i < QMP_PENDING_MAX; i++) /* the handshake is one */
		execute("one", LONG_MS, &answer);
	cr_assert_eq(qmp_execute(qmp, "two", json_object(), LONG_MS, on_done, &answer, &err),
	             -ENOSPC);
	cr_assert_str_eq(err.text, "64 commands wait for QEMU already");
}
